// Generated from docs/openapi.json by `npm run generate`. Do not edit.

export interface paths {
    "/.well-known/authzen-configuration": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Discover AuthZEN
         * @description Addresses are those of the name by which the server is asked; `https` but on loopback, since no
         *     other name is served without TLS in front.
         *
         *     Public: needs no key.
         */
        get: operations["authzen_configuration"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/access/v1/evaluation": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Decide a call, as AuthZEN
         * @description The subject is an agent, the resource a tool. The evaluation is a check: it is recorded, and an
         *     allow counts against the quota. A deny, that of an unknown tool or of a foreign tenant too, is
         *     `"decision": false`. Another type of subject or resource is 400 `invalid_evaluation`.
         *
         *     Roles: `agent`, `admin`.
         */
        post: operations["authzen_evaluation"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/access/v1/evaluations": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Decide several calls, as AuthZEN
         * @description Each evaluation is a check of its own. One that cannot be decided is returned as
         *     `"decision": false` with `context.error`; the others are decided all the same.
         *
         *     Roles: `agent`, `admin`.
         */
        post: operations["authzen_evaluations"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/docs": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Browsable documentation
         * @description This document as a page. Everything it loads comes from this server.
         *
         *     Public: needs no key.
         */
        get: operations["docs"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/docs/{file}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * A file of the documentation page
         * @description Public: needs no key.
         */
        get: operations["docs_file"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/health": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Health, as OPA
         * @description 200 `{}` while the server responds. With `?bundles` or `?plugins`: 500 while it cannot decide,
         *     for the reasons that `/readyz` reports.
         *
         *     Public: needs no key.
         */
        get: operations["opa_health"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/healthz": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Whether the process is alive
         * @description Succeeds as long as the process runs; see `/readyz` for whether it can decide.
         *
         *     Public: needs no key.
         */
        get: operations["healthz"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/kill": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Stop calls
         * @description Stops every call that the target covers. Once this has returned 200, no replica allows one any
         *     more; tools registered later are covered too. An error promises nothing: try again.
         *
         *     With `starts_at`, nothing is allowed from then on, by the clock of the database and by that of
         *     the server that decides, whichever is ahead. With `expires_at` it ends by itself, not before
         *     both clocks say so, and up to a second or two later.
         *
         *     Roles: `operator`, `admin`. A key bound to a tenant stops calls of that tenant only.
         */
        post: operations["kill"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/kill/restore": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Restore calls
         * @description Ends every kill of exactly this scope, those that are to start later included. While a wider
         *     kill covers it, nothing is changed and the answer is 409 (`still_killed`), which names that
         *     kill. What a key bound to no tenant has killed, only such a key restores: 403
         *     (`unbound_principal_required`), and nothing is changed.
         *
         *     Roles: `operator`, `admin`. A key bound to a tenant restores calls of that tenant only.
         */
        post: operations["kill_restore"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/metrics": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Metrics
         * @description OpenMetrics text for Prometheus, about the whole deployment.
         *
         *     Roles: `operator`, `auditor`, `admin`, with a key that is bound to no tenant.
         */
        get: operations["metrics"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/openapi.json": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * This document
         * @description The OpenAPI 3.1 document of this server.
         *
         *     Public: needs no key.
         */
        get: operations["openapi_json"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/policy/check": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Decide a call
         * @description Decides whether an agent may make a call, by policy, quota and kill switch, and records the
         *     decision. A deny is an answer, not an error: read `allow`. Everything that is not
         *     `"allow": true` is a deny, errors included, and errors carry `"allow": false`.
         *
         *     Roles: `agent`, `admin`.
         */
        post: operations["policy_check"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/provenance/sign": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Sign an action
         * @description Makes a manifest of what an agent did: an in-toto statement in a signed DSSE envelope, which
         *     commits to the payload by a salted hash. Returns once it is on disk.
         *
         *     Roles: `agent`, `admin`.
         */
        post: operations["provenance_sign"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/provenance/verify/{id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Verify a manifest
         * @description Verifies a stored manifest with the public key of this deployment. Where the payload is not
         *     kept, or was destroyed, its commitment is `skipped`; verify it offline with the bundle, the salt
         *     and the payload.
         *
         *     Roles: `agent`, `auditor`, `admin`; a key bound to a tenant sees that tenant's manifests.
         */
        get: operations["provenance_verify"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/readyz": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Whether the server can decide
         * @description Ready means: the store can write, the writers run, and a policy is loaded, or the OPA that
         *     decides is healthy, and the last self-test of the kill switch, made once a minute, did not fail.
         *     Otherwise 503 (`not_ready`) with `reasons`: `store_unavailable`, `writer_stopped`, `no_policy`,
         *     `policy_unavailable`, `policy_stuck` (evaluations do not come back; everything that has to be
         *     evaluated is denied), `kill_switch_failed`, `stopping`.
         *
         *     Public: needs no key.
         */
        get: operations["readyz"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/register": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * List tools, unpaged
         * @description Every tool that the caller may see, at most 10,000; the header `Link` leads to the rest. Better
         *     use `/v1/tools`.
         *
         *     Roles: `agent`, `operator`, `author`, `auditor`, `admin`; a key bound to a tenant sees that
         *     tenant's.
         */
        get: operations["register_list"];
        put?: never;
        /**
         * Register a tool
         * @description Registers a tool, and its tenant when the slug is new. Returns 409 when the tenant has a tool of
         *     that name (`tool_exists`) or of one that is too easily confused with it (`tool_confusable`).
         *
         *     Roles: `admin`. A key bound to a tenant registers tools of that tenant only.
         */
        post: operations["register"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/register/tenants": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * List tenants, unpaged
         * @description Every tenant that the caller may see, at most 10,000. Better use `/v1/tenants`.
         *
         *     Roles: `operator`, `auditor`, `admin`; a key bound to a tenant sees that one.
         */
        get: operations["register_tenants"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/data/{path}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Decide a call, as OPA, by GET
         * @description As the POST, with the input in the query. It decides, records and counts as the POST does, so
         *     it must not be prefetched or repeated.
         *
         *     Roles: `agent`, `admin`.
         */
        get: operations["opa_data_get"];
        put?: never;
        /**
         * Decide a call, as OPA
         * @description OPA's data API for `sentinel/policy/decision` and `sentinel/policy/allow`. Every question is a
         *     check: it is recorded, and an allow counts against the quota. A deny, that of an unknown tool
         *     or of a foreign tenant too, is a `result`. Any other path is undefined: `{}`. What cannot be
         *     read is refused with 400 in OPA's form, `{code, message}`.
         *
         *     Roles: `agent`, `admin`.
         */
        post: operations["opa_data_post"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/decisions": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * List decisions
         * @description Roles: `operator`, `author`, `auditor`, `admin`; a key bound to a tenant sees that tenant's.
         */
        get: operations["decisions_list"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/decisions/{id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Get a decision
         * @description Roles: `operator`, `author`, `auditor`, `admin`; a key bound to a tenant sees that tenant's.
         */
        get: operations["decisions_get"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/decisions/export": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Export decisions
         * @description Every decision that matches, newest first, as NDJSON: one decision a line, in the form of
         *     `/v1/decisions/{id}`. The answer is streamed; when it fails under way, the connection is cut, so
         *     an export that ends properly is complete.
         *
         *     Roles: `auditor`, `admin`; a key bound to a tenant sees that tenant's.
         */
        get: operations["decisions_export"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/events": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Listen to events
         * @description Server-sent events. The first is `sync`: the epoch and every kill in force, so that a subscriber
         *     always knows what is stopped; it comes again whenever events were missed, with `gap` true. The
         *     others are `policy.check.*`, `kill_switch.*`, `provenance.*` and `registry.*`, each with an
         *     `id`: sent as `Last-Event-ID`, it resumes the stream after that event. A comment is sent every
         *     15 seconds. `closed` says that the stream ends: `key_revoked` or `shutting_down`.
         *
         *     Roles: `agent`, `operator`, `auditor`, `admin`; a key bound to a tenant hears that tenant's
         *     events, and the kills that reach into it from above.
         */
        get: operations["events"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/keys": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * List keys
         * @description Roles: `admin`; a key bound to a tenant sees that tenant's.
         */
        get: operations["keys_list"];
        put?: never;
        /**
         * Make a key
         * @description Roles: `admin`; with a key bound to a tenant, `tenant_slug` must name that tenant.
         */
        post: operations["keys_create"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/keys/{id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        post?: never;
        /**
         * Revoke a key
         * @description Takes effect at once, for checks under way and open event streams too.
         *
         *     Roles: `admin`; a key bound to a tenant revokes that tenant's.
         */
        delete: operations["keys_revoke"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/kills": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * List kills
         * @description Roles: `operator`, `auditor`, `admin`; a key bound to a tenant sees that tenant's.
         */
        get: operations["kills_list"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/log/{path}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Get a file of the log
         * @description The log that is open, in C2SP's tlog-tiles layout: `checkpoint`, `tile/0/000`,
         *     `tile/entries/000.p/7`. Any client of that format can read it.
         *
         *     Roles: any; none where the configuration says `public_log`.
         */
        get: operations["log_file"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/logs/{origin}/{path}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Get a file of a log by the log's name
         * @description Like `/v1/log/…`, of the log with that name: those that were ended stay. What is below a name
         *     never changes, save for the checkpoint, and may be cached for good.
         *
         *     Roles: any; none where the configuration says `public_log`.
         */
        get: operations["log_shard_file"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/manifests": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * List manifests
         * @description Roles: `auditor`, `admin`; a key bound to a tenant sees that tenant's.
         */
        get: operations["manifests_list"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/manifests/{id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Get a manifest
         * @description What a manifest is stored under. To read what it says, verify it.
         *
         *     Roles: `agent`, `auditor`, `admin`; a key bound to a tenant sees that tenant's.
         */
        get: operations["manifests_get"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/manifests/{id}/bundle": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Get a manifest's bundle
         * @description The Sigstore bundle with its place in the transparency log; it verifies offline with the public
         *     key and the trusted root. A manifest that was just signed is waited for until a checkpoint
         *     covers it, a fraction of a second; `log_behind` says that this takes longer.
         *
         *     Roles: `agent`, `auditor`, `admin`; a key bound to a tenant sees that tenant's.
         */
        get: operations["manifests_bundle"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/manifests/{id}/payload": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Get a manifest's payload
         * @description The exact bytes that were signed with `keep_payload`. Returns 404 (`payload_not_kept`) when it
         *     was not given to be kept, and 410 (`payload_destroyed`) with the tombstone once its key was
         *     destroyed.
         *
         *     Roles: `agent`, `auditor`, `admin`; a key bound to a tenant sees that tenant's.
         */
        get: operations["manifests_payload"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/manifests/{id}/salt": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Get a manifest's salt
         * @description The salt shows, with the payload, what the manifest commits to: SHA-256 of salt and payload.
         *     With it guesses of the payload can be tested, so it is not public.
         *     Returns 410 (`payload_destroyed`) with the tombstone once the tenant's payload key was
         *     destroyed.
         *
         *     Roles: `agent`, `auditor`, `admin`; a key bound to a tenant sees that tenant's.
         */
        get: operations["manifests_salt"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/payload-keys/destroy": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Destroy a tenant's payload key
         * @description Destroys every payload and every salt of the tenant so far, for good: none can be read any more,
         *     and what manifests commit to cannot be guessed. The manifests stay, and verify. A signed
         *     tombstone in the transparency log says so. The next manifest of the tenant begins another key.
         *
         *     Returns 409 (`no_payload_key`) when the tenant has no key that is not destroyed already.
         *
         *     Roles: `admin`, with a key that is bound to no tenant.
         */
        post: operations["payload_keys_destroy"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/permits/redeem": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Redeem a permit
         * @description Uses a permit up, before a call is made. Everything that the call was checked for is checked
         *     again, as of now. Returns 403 (`permit_invalid`) when the permit was not issued here, has
         *     expired or is for another call, tenant or agent, 409 `permit_used` when it was used, and 409
         *     with the reason code of the deny when the call would be denied by now: `killed`, `tool_retired`,
         *     `key_revoked` (the key that got the permit, or the one that redeems it), `policy_denied` and so
         *     on. A permit that is refused is not used up.
         *
         *     Roles: `agent`, `admin`.
         */
        post: operations["permits_redeem"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/permits/resume": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Go on with a call
         * @description For a call that was allowed and whose client had to answer a question before the tool could go
         *     on, and for a call under way that a kill may cover. Everything that the call was checked for is
         *     checked again, as of now; it is neither counted nor recorded again. Ask right before the call is
         *     sent again.
         *
         *     Returns 403 (`permit_invalid`) when there is no such allow of the caller, for this tool, action
         *     and these arguments, within the last hour, and 409 with the reason code of the deny when the call
         *     would be denied by now.
         *
         *     Roles: `agent`, `admin`.
         */
        post: operations["permits_resume"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/policies": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * List policy modules, as OPA
         * @description Read-only, and empty when a remote OPA decides. There is no syntax tree (`ast`).
         *
         *     Roles: `author`, `auditor`, `admin`; not for keys that are bound to a tenant.
         */
        get: operations["opa_policies"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/policies/": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * List policy modules, as some of OPA's clients ask
         * @description As `/v1/policies`: OPA's Python client asks for it with a slash at the end.
         *
         *     Roles: `author`, `auditor`, `admin`; not for keys that are bound to a tenant.
         */
        get: operations["opa_policies_slash"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/policy": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Get the policy's status
         * @description Roles: `author`, `auditor`, `admin`.
         */
        get: operations["policy_status"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/policy/changes": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * List changes of policy
         * @description Every change of what is in force, and every revision that was refused: what, by whom, and why.
         *
         *     Roles: `author`, `auditor`, `admin`; not for keys that are bound to a tenant.
         */
        get: operations["policy_changes"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/policy/data": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Get all policy data that was put
         * @description Without what the policy's source brings.
         *
         *     Roles: `author`, `auditor`, `admin`; not for keys that are bound to a tenant.
         */
        get: operations["policy_data_all"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/policy/data-history": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * List changes of policy data
         * @description Each with the value that was put, its author and the reason.
         *
         *     Roles: `author`, `auditor`, `admin`; not for keys that are bound to a tenant.
         */
        get: operations["policy_data_history"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/policy/data/{path}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Get policy data that was put
         * @description Roles: `author`, `auditor`, `admin`; not for keys that are bound to a tenant.
         */
        get: operations["policy_data_get"];
        /**
         * Put policy data
         * @description The body is the value, at most 1 MiB of JSON. Policies see it as `data` at that path, on every
         *     server: no decision that is returned after this has returned rests on what was there before.
         *     Where the policy in force has a package, a root or data of its own, nothing can be put. With
         *     `If-Match` and the tag of what was read, a change that somebody else made meanwhile is not lost.
         *
         *     Roles: `author`, `admin`; not for keys that are bound to a tenant, since data is the same for
         *     all tenants.
         */
        put: operations["policy_data_put"];
        post?: never;
        /**
         * Remove policy data that was put
         * @description With everything below it.
         *
         *     Roles: `author`, `admin`; not for keys that are bound to a tenant.
         */
        delete: operations["policy_data_delete"];
        options?: never;
        head?: never;
        /**
         * Change a part of policy data
         * @description The body is a JSON Patch (RFC 6902) of `add`, `replace`, `remove` and `test`, its paths relative
         *     to the value at this path. All of it is carried out, or nothing.
         *
         *     Roles: `author`, `admin`; not for keys that are bound to a tenant.
         */
        patch: operations["policy_data_patch"];
        trace?: never;
    };
    "/v1/policy/rollout": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Get the staged rollout
         * @description Roles: `author`, `auditor`, `admin`; not for keys that are bound to a tenant.
         */
        get: operations["policy_rollout_get"];
        put?: never;
        /**
         * Start a staged rollout
         * @description The candidate is vetted as every policy, then evaluated beside what decides, for some tenants or
         *     a share of the calls, without influence on any decision.
         *
         *     Roles: `author`, `admin`; not for keys that are bound to a tenant.
         */
        post: operations["policy_rollout_start"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/policy/rollout/drop": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Drop the candidate
         * @description Gives the monitored candidate up. When none is monitored, takes the promoted one back: what the
         *     source brought decides again.
         *
         *     Roles: `author`, `admin`; not for keys that are bound to a tenant.
         */
        post: operations["policy_rollout_drop"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/policy/rollout/promote": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Promote the candidate
         * @description It decides from now on, on every server, in place of what the source brought, until the source
         *     brings something else or it is dropped. No decision that is returned after this has returned was
         *     made by what decided before.
         *
         *     Roles: `author`, `admin`; not for keys that are bound to a tenant.
         */
        post: operations["policy_rollout_promote"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/policy/shadow": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Compare the shadow engine
         * @description What the shadow engine answered differently; it has no influence on decisions.
         *
         *     Roles: `author`, `auditor`, `admin`; not for keys that are bound to a tenant.
         */
        get: operations["policy_shadow"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/provenance/keys": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * List signing keys
         * @description The keys that sign manifests, those of the past included, each with the logged statements of
         *     what became of it.
         *
         *     Roles: any.
         */
        get: operations["signing_keys"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/provenance/keys/retire": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Retire a signing key
         * @description Logs that a key signs no more. What it signed stays good.
         *
         *     Roles: `admin`; not for keys that are bound to a tenant.
         */
        post: operations["signing_key_retire"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/provenance/keys/revoke": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Revoke a signing key
         * @description Logs that a key is in wrong hands: verifiers reject its leaves at and beyond that of the
         *     revocation.
         *
         *     Roles: `admin`; not for keys that are bound to a tenant.
         */
        post: operations["signing_key_revoke"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/provenance/public-key": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Get a public key
         * @description The key to trust, PEM (ECDSA P-256): it signs manifests, or certifies the keys that do. With
         *     `hint` one of those.
         *
         *     Roles: any.
         */
        get: operations["public_key"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/quotas": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * List quotas
         * @description What is used of each tool's quota. A tool that was not used in its window has no row.
         *
         *     Roles: `operator`, `auditor`, `admin`; a key bound to a tenant sees that tenant's.
         */
        get: operations["quotas_list"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/tenants": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * List tenants
         * @description Roles: `operator`, `auditor`, `admin`; a key bound to a tenant sees that one.
         */
        get: operations["tenants_list"];
        put?: never;
        /**
         * Create a tenant
         * @description Returns 409 (`tenant_exists`) when the slug is taken.
         *
         *     Roles: `admin`, with a key that is bound to no tenant.
         */
        post: operations["tenants_create"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/tombstones": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * List tombstones
         * @description Which payload keys were destroyed, when, by whom and why. All are on the one page.
         *
         *     Roles: `auditor`, `admin`; a key bound to a tenant sees that tenant's.
         */
        get: operations["tombstones_list"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/tombstones/{id}/bundle": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Get a tombstone's bundle
         * @description The signed statement with its place in the transparency log. Its artifact is the text
         *     `<tenant>/<key generation>`.
         *
         *     Roles: `auditor`, `admin`; a key bound to a tenant sees that tenant's.
         */
        get: operations["tombstones_bundle"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/tools": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * List tools
         * @description Roles: `agent`, `operator`, `author`, `auditor`, `admin`; a key bound to a tenant sees that
         *     tenant's.
         */
        get: operations["tools_list"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/tools/{id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Get a tool
         * @description Roles: `agent`, `operator`, `author`, `auditor`, `admin`; a key bound to a tenant sees that
         *     tenant's.
         */
        get: operations["tools_get"];
        put?: never;
        post?: never;
        /**
         * Retire a tool
         * @description Denies its calls for ever. Its history stays, and so does its name, which cannot be taken again.
         *
         *     Roles: `admin`; a key bound to a tenant retires that tenant's tools.
         */
        delete: operations["tools_retire"];
        options?: never;
        head?: never;
        /**
         * Change a tool
         * @description Changes where a tool is, who owns it and what is said about it; its name stays. The digest
         *     changes with it, so a policy that pins the digest denies until it is changed too.
         *
         *     Roles: `admin`; a key bound to a tenant changes that tenant's tools.
         */
        patch: operations["tools_update"];
        trace?: never;
    };
    "/v1/tools/{id}/approve": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Approve the definition of a tool
         * @description Pins a quarantined tool to the definition that is offered, which lifts the quarantine. `digest`
         *     says which one was looked at; when another is offered by now, nothing is approved (409
         *     `definition_not_offered`).
         *
         *     Roles: `operator`, `admin`; a key bound to a tenant approves that tenant's.
         */
        post: operations["tools_approve"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/tools/{id}/drift": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Show how a tool has changed
         * @description The approved definition of a tool of an upstream, and the one that is offered instead when the
         *     tool is quarantined.
         *
         *     Roles: `operator`, `auditor`, `admin`; a key bound to a tenant sees that tenant's.
         */
        get: operations["tools_drift"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/tools/{id}/reject": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Reject the definition of a tool
         * @description The tool stays pinned to what was approved before, and quarantined for as long as something
         *     else is offered.
         *
         *     Roles: `operator`, `admin`; a key bound to a tenant rejects that tenant's.
         */
        post: operations["tools_reject"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/tools/uncovered": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Report an uncovered call
         * @description The server of a tool reports a call that it refused, because it came without a valid permit: it
         *     bypassed Sentinel. The report is recorded as a deny with the code `no_permit` whose principal is
         *     the server that reports it. Decisions with that code are those reports.
         *
         *     Roles: `agent`, `admin`.
         */
        post: operations["tools_uncovered"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/trusted-root": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Get the trusted root
         * @description What Sigstore's verifiers need to trust the logs of this deployment, and the other logs and
         *     timestamp authorities that its bundles speak of: for `--trusted-root` of cosign. Fetch it once,
         *     over a connection you trust, and keep it.
         *
         *     Roles: any; none where the configuration says `public_log`.
         */
        get: operations["trusted_root"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/upstreams": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * List upstreams
         * @description Roles: `operator`, `auditor`, `admin`; a key bound to a tenant sees that tenant's.
         */
        get: operations["upstreams_list"];
        put?: never;
        /**
         * Add an upstream
         * @description Adds an MCP server behind the gateway. Its tools are registered as `name__tool` when they are
         *     first listed, and pinned; what it offers besides tools is registered at once, as
         *     `name__resources`, `name__prompts`, `name__completion`, `name__sampling` and
         *     `name__elicitation`.
         *
         *     Returns 409 (`upstream_exists`) when the name is taken, and 403 (`command_not_allowed`) for a
         *     command that the configuration does not allow.
         *
         *     Roles: `admin`; a key bound to a tenant adds upstreams to that tenant, but none that is a
         *     command, since that is run on the server, and none with references to secrets of the server.
         */
        post: operations["upstreams_create"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/upstreams/{id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Show an upstream
         * @description Roles: `operator`, `auditor`, `admin`; a key bound to a tenant sees that tenant's.
         */
        get: operations["upstreams_get"];
        put?: never;
        post?: never;
        /**
         * Remove an upstream
         * @description Ends its connections, and denies the calls of its tools with `upstream_removed`. The tools stay
         *     in the registry: an upstream that is added under the same name takes them over, and each can be
         *     called again once it is offered as it was approved.
         *
         *     Roles: `admin`; a key bound to a tenant removes that tenant's.
         */
        delete: operations["upstreams_remove"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/upstreams/{tenant}/{name}/standing": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Find out where a wrapped server's tools stand
         * @description For `sentinel mcp wrap`. Registers and pins the tools that are new, quarantines those whose
         *     definition has changed, and says of each whether the agent may see and call it. The upstream is
         *     added when there is none of that name, unless the configuration reserves that to administrators.
         *
         *     Roles: `agent`, `admin`.
         */
        post: operations["upstreams_standing"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/ws": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Listen to events over a WebSocket
         * @description The stream of `/v1/events`: each text frame is one JSON object `{"id", "event", "data"}`, the
         *     first of them `sync`. A ping is sent every 15 seconds; a client that responds to none of three
         *     is cut off. `closed` precedes a close frame with code 1008 (`key_revoked`) or 1001
         *     (`shutting_down`). The client sends nothing: a message of its own ends the connection with 1003,
         *     one above 4 KiB with 1009.
         *
         *     A browser, which cannot set headers, offers the subprotocols `sentinel.v1` and `bearer.<key>`,
         *     of which the first is chosen, and resumes by `last_event_id`.
         *
         *     Roles: `agent`, `operator`, `auditor`, `admin`; a key bound to a tenant hears that tenant's
         *     events, and the kills that reach into it from above.
         */
        get: operations["ws"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
}
export type webhooks = Record<string, never>;
export interface components {
    schemas: {
        /** @description The process is alive. */
        Alive: {
            /** @description Always `ok`. */
            status: string;
        };
        /** @description An API key: everything but the key. */
        ApiKey: {
            /** @description The one agent it may speak for; `null` lets the caller name the agent. */
            agent?: string | null;
            /** Format: date-time */
            created_at: string;
            /** Format: uuid */
            id: string;
            name: string;
            /**
             * @description Who holds it, `tenant/name` when it is bound to a tenant. Keys of one owner are one
             *     principal, `owner:…`; a key without an owner is a principal of its own, `key:…`.
             */
            owner?: string | null;
            /** Format: date-time */
            revoked_at?: string | null;
            /** @example agent */
            role: string;
            /**
             * Format: uuid
             * @description The one tenant it is bound to; `null` binds it to all.
             */
            tenant_id?: string | null;
            tenant_slug?: string | null;
        };
        /** @description What is to be done. */
        AuthzenAction: {
            name: string;
            properties?: Record<string, never> | null;
        };
        /** @description Where the endpoints of AuthZEN are. */
        AuthzenConfiguration: {
            access_evaluation_endpoint: string;
            access_evaluations_endpoint: string;
            policy_decision_point: string;
        };
        /** @description Why. */
        AuthzenContext: components["schemas"]["AuthzenDecided"] | {
            error: components["schemas"]["AuthzenError"];
        };
        /** @description What was decided and recorded. */
        AuthzenDecided: {
            /**
             * @description Why, for programs; a closed set.
             *
             *     - `allowed`: Policy allows the call and the quota has room.
             *     - `policy_denied`: Policy denies; `reasons` says why.
             *     - `quota_exceeded`: The quota of the window is used up.
             *     - `rate_limited`: A rate limit leaves no room at the moment; `reason` says which, and when to try again.
             *     - `rate_limiter_unavailable`: A rate limit applies and cannot be counted at the moment.
             *     - `call_id_spent`: The allow of this `call_id` cannot be repeated: its permit was used or has expired. A new call needs another `call_id`.
             *     - `killed`: A kill covers the call.
             *     - `unknown_tenant`: No such tenant.
             *     - `unknown_tool`: The tenant has no such tool.
             *     - `tool_retired`: The tool is retired.
             *     - `tool_drift`: The definition of the tool has changed, and an operator has not approved the new one.
             *     - `tool_unapproved`: The tool is new, and the configuration demands that an operator approves it first.
             *     - `upstream_removed`: The tool belongs to an upstream that was removed.
             *     - `tenant_forbidden`: The caller's key is bound to another tenant.
             *     - `agent_forbidden`: The caller's key is bound to another agent.
             *     - `agent_required`: The call names no agent, and the configuration or the policy demands one.
             *     - `key_revoked`: The caller's key was revoked while the check was under way.
             *     - `no_permit`: The tool was called without a valid permit. Its server refused the call and reported it.
             *     - `no_policy`: No policy is loaded.
             *     - `policy_undefined`: The policy has no answer for this input.
             *     - `policy_error`: The policy failed while it was evaluated.
             *     - `policy_timeout`: The policy took longer than its limit.
             *     - `policy_malformed`: The policy's answer is not a decision document.
             *     - `unknown_obligation`: The policy demands an obligation that this version cannot fulfil.
             *     - `policy_unavailable`: The remote policy engine cannot be reached, or broke off its answer.
             *     - `policy_circuit_open`: The remote policy engine failed several times in a row and is not asked for a moment.
             * @enum {string}
             */
            code: "allowed" | "policy_denied" | "quota_exceeded" | "rate_limited" | "rate_limiter_unavailable" | "call_id_spent" | "killed" | "unknown_tenant" | "unknown_tool" | "tool_retired" | "tool_drift" | "tool_unapproved" | "upstream_removed" | "tenant_forbidden" | "agent_forbidden" | "agent_required" | "key_revoked" | "no_permit" | "no_policy" | "policy_undefined" | "policy_error" | "policy_timeout" | "policy_malformed" | "unknown_obligation" | "policy_unavailable" | "policy_circuit_open";
            /**
             * Format: uuid
             * @description The recorded decision.
             */
            id: string;
            /** @description What policy attached to the decision; objects with a `type`. */
            obligations: Record<string, never>[];
            permit?: string | null;
            policy_revision?: string | null;
            /** Format: int64 */
            quota_remaining?: number | null;
            reason: string;
            reasons: Record<string, never>[];
        };
        /** @description The decision. */
        AuthzenDecision: {
            context: components["schemas"]["AuthzenContext"];
            decision: boolean;
        };
        /** @description The decisions, in the order of the evaluations. */
        AuthzenDecisions: {
            evaluations: components["schemas"]["AuthzenDecision"][];
        };
        /** @description Who, or what. */
        AuthzenEntity: {
            /** @description The agent's name; of a tool `tenant/tool`, or its name when `properties.tenant` is given. */
            id: string;
            properties?: Record<string, never> | null;
            /** @description `agent` for the subject, `tool` for the resource. */
            type: string;
        };
        /** @description Why there is no decision. */
        AuthzenError: {
            code: string;
            message: string;
            /** Format: int32 */
            status: number;
        };
        /** @description One evaluation. */
        AuthzenEvaluation: {
            action?: components["schemas"]["AuthzenAction"] | null;
            /**
             * @description `purpose`, `usage`, `arguments` and `call_id` are those of a check; the rest is its
             *     `context`.
             */
            context?: Record<string, never> | null;
            resource?: components["schemas"]["AuthzenEntity"] | null;
            subject?: components["schemas"]["AuthzenEntity"] | null;
        };
        /** @description Several evaluations. What one leaves out is taken from the top, as a whole. */
        AuthzenEvaluations: {
            action?: components["schemas"]["AuthzenAction"] | null;
            context?: Record<string, never> | null;
            /** @description At most 100. Without any, the request is one evaluation and is decided as one. */
            evaluations?: components["schemas"]["AuthzenEvaluation"][] | null;
            options?: components["schemas"]["AuthzenOptions"] | null;
            resource?: components["schemas"]["AuthzenEntity"] | null;
            subject?: components["schemas"]["AuthzenEntity"] | null;
        };
        /** @description How the evaluations depend on each other. */
        AuthzenOptions: {
            evaluations_semantic?: components["schemas"]["AuthzenSemantic"] | null;
        };
        /**
         * @description When to stop.
         * @enum {string}
         */
        AuthzenSemantic: "execute_all" | "deny_on_first_deny" | "permit_on_first_permit";
        /** @description One check and its evidence. */
        Check: {
            detail: string;
            /**
             * @description `envelope`, `signature`, `statement`, `checkpoint`, `inclusion`, `key`, `witness`,
             *     `payload_commitment`, `record_match`, `decision_link`.
             */
            name: unknown;
            /** @description `passed`, `failed` or `skipped`. */
            outcome: string;
        };
        /** @description The decision. It was recorded before it was answered. */
        CheckAnswer: {
            allow: boolean;
            /**
             * @description Why, for programs; a closed set.
             *
             *     - `allowed`: Policy allows the call and the quota has room.
             *     - `policy_denied`: Policy denies; `reasons` says why.
             *     - `quota_exceeded`: The quota of the window is used up.
             *     - `rate_limited`: A rate limit leaves no room at the moment; `reason` says which, and when to try again.
             *     - `rate_limiter_unavailable`: A rate limit applies and cannot be counted at the moment.
             *     - `call_id_spent`: The allow of this `call_id` cannot be repeated: its permit was used or has expired. A new call needs another `call_id`.
             *     - `killed`: A kill covers the call.
             *     - `unknown_tenant`: No such tenant.
             *     - `unknown_tool`: The tenant has no such tool.
             *     - `tool_retired`: The tool is retired.
             *     - `tool_drift`: The definition of the tool has changed, and an operator has not approved the new one.
             *     - `tool_unapproved`: The tool is new, and the configuration demands that an operator approves it first.
             *     - `upstream_removed`: The tool belongs to an upstream that was removed.
             *     - `tenant_forbidden`: The caller's key is bound to another tenant.
             *     - `agent_forbidden`: The caller's key is bound to another agent.
             *     - `agent_required`: The call names no agent, and the configuration or the policy demands one.
             *     - `key_revoked`: The caller's key was revoked while the check was under way.
             *     - `no_permit`: The tool was called without a valid permit. Its server refused the call and reported it.
             *     - `no_policy`: No policy is loaded.
             *     - `policy_undefined`: The policy has no answer for this input.
             *     - `policy_error`: The policy failed while it was evaluated.
             *     - `policy_timeout`: The policy took longer than its limit.
             *     - `policy_malformed`: The policy's answer is not a decision document.
             *     - `unknown_obligation`: The policy demands an obligation that this version cannot fulfil.
             *     - `policy_unavailable`: The remote policy engine cannot be reached, or broke off its answer.
             *     - `policy_circuit_open`: The remote policy engine failed several times in a row and is not asked for a moment.
             * @enum {string}
             */
            code: "allowed" | "policy_denied" | "quota_exceeded" | "rate_limited" | "rate_limiter_unavailable" | "call_id_spent" | "killed" | "unknown_tenant" | "unknown_tool" | "tool_retired" | "tool_drift" | "tool_unapproved" | "upstream_removed" | "tenant_forbidden" | "agent_forbidden" | "agent_required" | "key_revoked" | "no_permit" | "no_policy" | "policy_undefined" | "policy_error" | "policy_timeout" | "policy_malformed" | "unknown_obligation" | "policy_unavailable" | "policy_circuit_open";
            /** Format: uuid */
            decision_id: string;
            /**
             * Format: uuid
             * @description The signed statement of this decision, where the server signs decisions.
             */
            manifest_id?: string | null;
            /**
             * @description What policy attached to the decision: objects with a `type`. An `alert` asks for nothing
             *     more; Sentinel itself enforces a `rate_limit`.
             */
            obligations: Record<string, never>[];
            /** @description With an allow: the token that proves it, to be redeemed once, within 60 seconds. */
            permit?: string | null;
            /** @description Revision of the policy that was asked; `null` when none was. */
            policy_revision?: string | null;
            /**
             * Format: int64
             * @description What of the quota is left in this window; `null` when there is no quota.
             */
            quota_remaining?: number | null;
            /** @description Why, for people. */
            reason: string;
            /** @description The reasons as policy words them. */
            reasons: components["schemas"]["Reason"][];
            /**
             * Format: uuid
             * @description With a permit: the tool that it is for, as `POST /v1/permits/redeem` takes it.
             */
            tool_id?: string | null;
        };
        /** @description The call that is to be decided. */
        CheckRequest: {
            /** @example invoke */
            action: string;
            /** @description The agent that calls; a key bound to an agent may leave it out, and may name no other. */
            agent?: string | null;
            /** @description The arguments of the call. Policy sees them; only their hash is kept. */
            arguments?: Record<string, never> | null;
            /**
             * @description Makes the check idempotent for 24 hours: the same call of the same key and agent gets the
             *     same decision, and is counted once. An allow is repeated only while the call would still be
             *     allowed and its permit is neither redeemed nor expired; else the answer is a new deny
             *     (`call_id_spent`, or why the call would be denied now). With other arguments, action,
             *     purpose, context or usage it is 409 `call_id_conflict`. It should come from what makes the
             *     call, and not from a header that an agent sets as it likes.
             */
            call_id?: string | null;
            /** @description Whatever else policy may want to know; recorded with the decision. */
            context?: Record<string, never> | null;
            /** @example documentation_lookup */
            purpose?: string | null;
            /** @example platform-eng */
            tenant_slug: string;
            /** @example langsmith-docs-search */
            tool_name: string;
            /**
             * Format: int64
             * @description Uses that the caller reports; can only make the decision stricter than the server's count.
             */
            usage?: number | null;
        };
        /** @description One recorded decision. */
        Decision: {
            action: string;
            agent?: string | null;
            /** @description SHA-256 of the canonical form of the arguments, which are not kept. */
            argument_hash: string;
            call_id?: string | null;
            /**
             * @description Why, for programs; a closed set.
             *
             *     - `allowed`: Policy allows the call and the quota has room.
             *     - `policy_denied`: Policy denies; `reasons` says why.
             *     - `quota_exceeded`: The quota of the window is used up.
             *     - `rate_limited`: A rate limit leaves no room at the moment; `reason` says which, and when to try again.
             *     - `rate_limiter_unavailable`: A rate limit applies and cannot be counted at the moment.
             *     - `call_id_spent`: The allow of this `call_id` cannot be repeated: its permit was used or has expired. A new call needs another `call_id`.
             *     - `killed`: A kill covers the call.
             *     - `unknown_tenant`: No such tenant.
             *     - `unknown_tool`: The tenant has no such tool.
             *     - `tool_retired`: The tool is retired.
             *     - `tool_drift`: The definition of the tool has changed, and an operator has not approved the new one.
             *     - `tool_unapproved`: The tool is new, and the configuration demands that an operator approves it first.
             *     - `upstream_removed`: The tool belongs to an upstream that was removed.
             *     - `tenant_forbidden`: The caller's key is bound to another tenant.
             *     - `agent_forbidden`: The caller's key is bound to another agent.
             *     - `agent_required`: The call names no agent, and the configuration or the policy demands one.
             *     - `key_revoked`: The caller's key was revoked while the check was under way.
             *     - `no_permit`: The tool was called without a valid permit. Its server refused the call and reported it.
             *     - `no_policy`: No policy is loaded.
             *     - `policy_undefined`: The policy has no answer for this input.
             *     - `policy_error`: The policy failed while it was evaluated.
             *     - `policy_timeout`: The policy took longer than its limit.
             *     - `policy_malformed`: The policy's answer is not a decision document.
             *     - `unknown_obligation`: The policy demands an obligation that this version cannot fulfil.
             *     - `policy_unavailable`: The remote policy engine cannot be reached, or broke off its answer.
             *     - `policy_circuit_open`: The remote policy engine failed several times in a row and is not asked for a moment.
             * @enum {string}
             */
            code: "allowed" | "policy_denied" | "quota_exceeded" | "rate_limited" | "rate_limiter_unavailable" | "call_id_spent" | "killed" | "unknown_tenant" | "unknown_tool" | "tool_retired" | "tool_drift" | "tool_unapproved" | "upstream_removed" | "tenant_forbidden" | "agent_forbidden" | "agent_required" | "key_revoked" | "no_permit" | "no_policy" | "policy_undefined" | "policy_error" | "policy_timeout" | "policy_malformed" | "unknown_obligation" | "policy_unavailable" | "policy_circuit_open";
            /** Format: date-time */
            created_at: string;
            /** @description `allow` or `deny`. */
            decision: string;
            /**
             * Format: int64
             * @description Microseconds from the request's arrival to its entry into the commit.
             */
            duration_us: number;
            /**
             * Format: int64
             * @description The epoch it was committed under: a kill covers it from the kill's epoch to the restore's.
             */
            epoch: number;
            /** @description `request_id`, `key` (where the principal is its owner), `context`, `usage`, `obligations`. */
            event_metadata: Record<string, never>;
            /** Format: uuid */
            id: string;
            /** @description What policy attached to the decision; objects with a `type`. */
            obligations: Record<string, never>[];
            policy_revision?: string | null;
            /** @description Identifier of the principal that asked. */
            principal: string;
            purpose?: string | null;
            quota?: components["schemas"]["Quota"] | null;
            /** Format: int64 */
            quota_remaining?: number | null;
            reason: string;
            reasons: components["schemas"]["Reason"][];
            /**
             * Format: int64
             * @description Position in the order of commits.
             */
            sequence: number;
            /** @description As it was asked for, even when there is no such tenant. */
            tenant: string;
            /** Format: uuid */
            tenant_id?: string | null;
            /** @description As it was asked for, even when there is no such tool. */
            tool: string;
            /** Format: uuid */
            tool_id?: string | null;
        };
        /** @description What was destroyed. */
        DestroyAnswer: {
            /**
             * Format: int64
             * @description Payloads that were kept under the key.
             */
            payloads_destroyed: number;
            tombstone: components["schemas"]["Tombstone"];
        };
        /** @description Whose payloads are to be destroyed. */
        DestroyRequest: {
            /**
             * @description Why, for people. It becomes part of the signed tombstone.
             * @example erasure request 4711
             */
            reason: string;
            /** @example platform-eng */
            tenant_slug: string;
        };
        /** @description The key that is to end. */
        EndSigningKey: {
            /** @description SSH fingerprint of the key. */
            hint: string;
            reason?: string | null;
        };
        /** @description Result of a health check. */
        Health: {
            /** Format: date-time */
            checked_at: string;
            /** @description Why it is not healthy. */
            detail?: string | null;
            /**
             * Format: int64
             * @description Milliseconds the check took.
             */
            latency_ms: number;
            /** @enum {string} */
            status: "healthy" | "unhealthy" | "refused";
        };
        /** @description The key that is to be made. */
        KeyRequest: {
            /** @description Binds the key to one agent. */
            agent?: string | null;
            /**
             * @description For people.
             * @example ci runner
             */
            name: string;
            /**
             * @description The person or service that holds the key. Keys of one owner and tenant are one principal, so
             *     that a new key can go on with what an old one began.
             * @example alice
             */
            owner?: string | null;
            /**
             * @description `agent`, `operator`, `author`, `auditor` or `admin`.
             * @example agent
             */
            role: string;
            /** @description Binds the key to one tenant; to all when left out. */
            tenant_slug?: string | null;
        };
        /** @description A kill. */
        Kill: {
            /** @description Identifier of the principal that killed. */
            actor: string;
            agent?: string | null;
            /** @description Whether that principal was bound to no tenant: then only such a one restores. */
            by_platform: boolean;
            /** Format: date-time */
            created_at: string;
            /**
             * Format: int64
             * @description The epoch that it began; nothing it covers is allowed from there on.
             */
            epoch: number;
            /**
             * Format: date-time
             * @description When it ends by itself; `null` for one that only a restore ends.
             */
            expires_at?: string | null;
            in_force: boolean;
            /** Format: uuid */
            kill_id: string;
            /** @description The principal, the scope or the tag that it names. */
            label?: string | null;
            reason: string;
            /** Format: date-time */
            restored_at?: string | null;
            restored_by?: string | null;
            /**
             * @description `global`, `tenant`, `tool`, `agent`, `principal`, `tool_scope` or `tool_tag`; with `tenant_`
             *     in front of the last four, within one tenant.
             */
            scope: string;
            /**
             * Format: date-time
             * @description When it comes into force; `null` for one that did at once.
             */
            starts_at?: string | null;
            /** @description `scheduled`, `in_force` or `ended`. */
            state: string;
            tenant?: string | null;
            tool?: string | null;
        };
        /** @description What was stopped. */
        KillAnswer: {
            /** @description How many tools it reaches. */
            affected_count: number;
            /** @description The tools it reaches, at most 1,000; of a global kill as `tenant/tool`. */
            affected_tools: string[];
            /**
             * Format: int64
             * @description From this epoch on, nothing it covers is allowed; of one that starts later, from its start
             *     on.
             */
            epoch: number;
            /** Format: uuid */
            kill_id?: string | null;
            kills: string[];
            reached: components["schemas"]["KillReached"];
            /** @description Always `disabled`. */
            status: string;
        };
        /**
         * @description What a kill reached. The guarantee does not rest on these numbers: no replica allows anything
         *     that is covered once the kill is answered.
         */
        KillReached: {
            /**
             * Format: int64
             * @description Calls in flight of the gateway of this server that were cut. Those of `sentinel mcp wrap` are
             *     in `calls_elsewhere`.
             */
            calls: number;
            /**
             * Format: int64
             * @description Calls that others make with permits of this server, such as `sentinel mcp wrap`, and that the
             *     kill covers: redeemed here in the last 6 minutes, and their outcome not signed here yet. They
             *     are cut when their maker hears of the kill by event, and this does not wait for that. `null`
             *     when there were too many to be counted, or the server is of an earlier version.
             */
            calls_elsewhere?: number | null;
            /**
             * Format: int64
             * @description Of these, how many had not ended when the kill was answered: such a call may have reached
             *     its tool, and its outcome is recorded as `unconfirmed`.
             */
            calls_unconfirmed?: number;
            /**
             * Format: int64
             * @description Permits that this server issued in the last 60 seconds, that were not redeemed here, and
             *     that the kill covers; `null` when there were too many kinds to be counted.
             */
            permits?: number | null;
            /**
             * Format: int64
             * @description Servers that are connected to the database, this one included, whose decisions the kill
             *     binds; those of versions before this field are not counted. `null` when the database did not
             *     say at once.
             */
            replicas?: number | null;
            /**
             * Format: int64
             * @description Event streams of this server that hear of it.
             */
            streams: number;
        };
        /**
         * @description What is to be stopped, and why. The fields present make the scope: a tool (`tenant_slug` and
         *     `tool_name`), a tenant, an agent, a principal, or the tools with a scope or a tag, each of the
         *     last four of one tenant (with `tenant_slug`) or everywhere, or everything, which must be said:
         *     `"scope": "global"`.
         */
        KillRequest: {
            /**
             * @description In any letter case. Only keys that are bound to an agent hold an agent to its name; see
             *     `require_agent` of the configuration and of policy for calls that name none.
             */
            agent?: string | null;
            /**
             * Format: date-time
             * @description When it ends by itself, RFC 3339; only by a restore when left out.
             */
            expires_at?: string | null;
            /**
             * @description Who calls: the identifier that decisions have, the id of a key or its name, in any letter
             *     case.
             */
            principal?: string | null;
            /** @example incident 4711 */
            reason: string;
            scope?: components["schemas"]["KillScope"] | null;
            /**
             * Format: date-time
             * @description When it comes into force, RFC 3339; at once when left out or past.
             */
            starts_at?: string | null;
            /** @example platform-eng */
            tenant_slug?: string | null;
            /** @example langsmith-docs-search */
            tool_name?: string | null;
            /** @description The tools that have this scope, now or later; in any letter case. */
            tool_scope?: string | null;
            /** @description The tools that have this tag in `metadata.tags`, now or later; in any letter case. */
            tool_tag?: string | null;
        };
        /**
         * @description The kind of a scope. Needed for `global` only; any other must fit the fields.
         * @enum {string}
         */
        KillScope: "global" | "tenant" | "tool" | "agent" | "tenant_agent" | "principal" | "tenant_principal" | "tool_scope" | "tenant_tool_scope" | "tool_tag" | "tenant_tool_tag";
        /** @description What the last self-test of the kill switch found. */
        KillSelfTest: {
            /** Format: date-time */
            at: string;
            /** @description `passed`, `failed` or `not_tried`. */
            outcome: string;
            /**
             * Format: date-time
             * @description When one passed last.
             */
            passed_at?: string | null;
        };
        /**
         * @description What is to be killed or restored. The fields present make the scope: a tool (`tenant_slug` and
         *     `tool_name`), a tenant, an agent, a principal, or the tools with a scope or a tag, each of the
         *     last four of one tenant (with `tenant_slug`) or everywhere, or everything, which must be said:
         *     `"scope": "global"`.
         */
        KillTarget: {
            /** @description In any letter case. */
            agent?: string | null;
            /**
             * @description Who calls: the identifier that decisions have, the id of a key or its name, in any letter
             *     case.
             */
            principal?: string | null;
            scope?: components["schemas"]["KillScope"] | null;
            /** @example platform-eng */
            tenant_slug?: string | null;
            /** @example langsmith-docs-search */
            tool_name?: string | null;
            /** @description The tools that have this scope, now or later; in any letter case. */
            tool_scope?: string | null;
            /** @description The tools that have this tag in `metadata.tags`, now or later; in any letter case. */
            tool_tag?: string | null;
        };
        /** @description One page of a listing. */
        List_ApiKey: {
            items: {
                /** @description The one agent it may speak for; `null` lets the caller name the agent. */
                agent?: string | null;
                /** Format: date-time */
                created_at: string;
                /** Format: uuid */
                id: string;
                name: string;
                /**
                 * @description Who holds it, `tenant/name` when it is bound to a tenant. Keys of one owner are one
                 *     principal, `owner:…`; a key without an owner is a principal of its own, `key:…`.
                 */
                owner?: string | null;
                /** Format: date-time */
                revoked_at?: string | null;
                /** @example agent */
                role: string;
                /**
                 * Format: uuid
                 * @description The one tenant it is bound to; `null` binds it to all.
                 */
                tenant_id?: string | null;
                tenant_slug?: string | null;
            }[];
            /** @description Pass it as `cursor` to get the next page; `null` on the last. */
            next_cursor?: string | null;
        };
        /** @description One page of a listing. */
        List_Decision: {
            items: {
                action: string;
                agent?: string | null;
                /** @description SHA-256 of the canonical form of the arguments, which are not kept. */
                argument_hash: string;
                call_id?: string | null;
                /**
                 * @description Why, for programs; a closed set.
                 *
                 *     - `allowed`: Policy allows the call and the quota has room.
                 *     - `policy_denied`: Policy denies; `reasons` says why.
                 *     - `quota_exceeded`: The quota of the window is used up.
                 *     - `rate_limited`: A rate limit leaves no room at the moment; `reason` says which, and when to try again.
                 *     - `rate_limiter_unavailable`: A rate limit applies and cannot be counted at the moment.
                 *     - `call_id_spent`: The allow of this `call_id` cannot be repeated: its permit was used or has expired. A new call needs another `call_id`.
                 *     - `killed`: A kill covers the call.
                 *     - `unknown_tenant`: No such tenant.
                 *     - `unknown_tool`: The tenant has no such tool.
                 *     - `tool_retired`: The tool is retired.
                 *     - `tool_drift`: The definition of the tool has changed, and an operator has not approved the new one.
                 *     - `tool_unapproved`: The tool is new, and the configuration demands that an operator approves it first.
                 *     - `upstream_removed`: The tool belongs to an upstream that was removed.
                 *     - `tenant_forbidden`: The caller's key is bound to another tenant.
                 *     - `agent_forbidden`: The caller's key is bound to another agent.
                 *     - `agent_required`: The call names no agent, and the configuration or the policy demands one.
                 *     - `key_revoked`: The caller's key was revoked while the check was under way.
                 *     - `no_permit`: The tool was called without a valid permit. Its server refused the call and reported it.
                 *     - `no_policy`: No policy is loaded.
                 *     - `policy_undefined`: The policy has no answer for this input.
                 *     - `policy_error`: The policy failed while it was evaluated.
                 *     - `policy_timeout`: The policy took longer than its limit.
                 *     - `policy_malformed`: The policy's answer is not a decision document.
                 *     - `unknown_obligation`: The policy demands an obligation that this version cannot fulfil.
                 *     - `policy_unavailable`: The remote policy engine cannot be reached, or broke off its answer.
                 *     - `policy_circuit_open`: The remote policy engine failed several times in a row and is not asked for a moment.
                 * @enum {string}
                 */
                code: "allowed" | "policy_denied" | "quota_exceeded" | "rate_limited" | "rate_limiter_unavailable" | "call_id_spent" | "killed" | "unknown_tenant" | "unknown_tool" | "tool_retired" | "tool_drift" | "tool_unapproved" | "upstream_removed" | "tenant_forbidden" | "agent_forbidden" | "agent_required" | "key_revoked" | "no_permit" | "no_policy" | "policy_undefined" | "policy_error" | "policy_timeout" | "policy_malformed" | "unknown_obligation" | "policy_unavailable" | "policy_circuit_open";
                /** Format: date-time */
                created_at: string;
                /** @description `allow` or `deny`. */
                decision: string;
                /**
                 * Format: int64
                 * @description Microseconds from the request's arrival to its entry into the commit.
                 */
                duration_us: number;
                /**
                 * Format: int64
                 * @description The epoch it was committed under: a kill covers it from the kill's epoch to the restore's.
                 */
                epoch: number;
                /** @description `request_id`, `key` (where the principal is its owner), `context`, `usage`, `obligations`. */
                event_metadata: Record<string, never>;
                /** Format: uuid */
                id: string;
                /** @description What policy attached to the decision; objects with a `type`. */
                obligations: Record<string, never>[];
                policy_revision?: string | null;
                /** @description Identifier of the principal that asked. */
                principal: string;
                purpose?: string | null;
                quota?: components["schemas"]["Quota"] | null;
                /** Format: int64 */
                quota_remaining?: number | null;
                reason: string;
                reasons: components["schemas"]["Reason"][];
                /**
                 * Format: int64
                 * @description Position in the order of commits.
                 */
                sequence: number;
                /** @description As it was asked for, even when there is no such tenant. */
                tenant: string;
                /** Format: uuid */
                tenant_id?: string | null;
                /** @description As it was asked for, even when there is no such tool. */
                tool: string;
                /** Format: uuid */
                tool_id?: string | null;
            }[];
            /** @description Pass it as `cursor` to get the next page; `null` on the last. */
            next_cursor?: string | null;
        };
        /** @description One page of a listing. */
        List_Kill: {
            items: {
                /** @description Identifier of the principal that killed. */
                actor: string;
                agent?: string | null;
                /** @description Whether that principal was bound to no tenant: then only such a one restores. */
                by_platform: boolean;
                /** Format: date-time */
                created_at: string;
                /**
                 * Format: int64
                 * @description The epoch that it began; nothing it covers is allowed from there on.
                 */
                epoch: number;
                /**
                 * Format: date-time
                 * @description When it ends by itself; `null` for one that only a restore ends.
                 */
                expires_at?: string | null;
                in_force: boolean;
                /** Format: uuid */
                kill_id: string;
                /** @description The principal, the scope or the tag that it names. */
                label?: string | null;
                reason: string;
                /** Format: date-time */
                restored_at?: string | null;
                restored_by?: string | null;
                /**
                 * @description `global`, `tenant`, `tool`, `agent`, `principal`, `tool_scope` or `tool_tag`; with `tenant_`
                 *     in front of the last four, within one tenant.
                 */
                scope: string;
                /**
                 * Format: date-time
                 * @description When it comes into force; `null` for one that did at once.
                 */
                starts_at?: string | null;
                /** @description `scheduled`, `in_force` or `ended`. */
                state: string;
                tenant?: string | null;
                tool?: string | null;
            }[];
            /** @description Pass it as `cursor` to get the next page; `null` on the last. */
            next_cursor?: string | null;
        };
        /** @description One page of a listing. */
        List_ManifestRecord: {
            items: {
                action: string;
                /** Format: date-time */
                created_at: string;
                /** Format: uuid */
                decision_id?: string | null;
                /** Format: uuid */
                id: string;
                /** @description SHA-256 of salt and payload. */
                payload_hash: string;
                purpose?: string | null;
                tenant?: string | null;
                /** Format: uuid */
                tenant_id: string;
                tool: string;
            }[];
            /** @description Pass it as `cursor` to get the next page; `null` on the last. */
            next_cursor?: string | null;
        };
        /** @description One page of a listing. */
        List_PolicyChange: {
            items: {
                /** @description The principal, `key:…`; or `source:` and the directory or bundle that was loaded. */
                actor: string;
                /** Format: date-time */
                at: string;
                /** @description By name: of the key, or the author that a bundle's manifest states. */
                author?: string | null;
                /**
                 * Format: int64
                 * @description The version of the data afterwards; decisions from there on name it after their revision.
                 */
                data_version?: number | null;
                /** @description Why a revision was refused; whom a rollout is for. */
                detail?: string | null;
                /**
                 * Format: int64
                 * @description The epoch that the change began; none of what a source brought.
                 */
                epoch?: number | null;
                /** Format: uuid */
                id: string;
                /**
                 * @description `activated` or `refused`: a revision that a server loaded; `data_put`, `data_removed`;
                 *     `rollout_started`, `rollout_promoted`, `rollout_dropped`.
                 * @example data_put
                 */
                kind: string;
                /** @description Where data changed, a JSON pointer. */
                path?: string | null;
                reason?: string | null;
                /** @description The revision that came into force, or is monitored. */
                revision?: string | null;
                /** Format: uuid */
                rollout_id?: string | null;
            }[];
            /** @description Pass it as `cursor` to get the next page; `null` on the last. */
            next_cursor?: string | null;
        };
        /** @description One page of a listing. */
        List_PolicyDataChange: {
            items: (components["schemas"]["PolicyChange"] & {
                /** @description What was put at the path; absent when it was removed. */
                value?: Record<string, never> | null;
            })[];
            /** @description Pass it as `cursor` to get the next page; `null` on the last. */
            next_cursor?: string | null;
        };
        /** @description One page of a listing. */
        List_QuotaUsage: {
            items: {
                /**
                 * Format: int64
                 * @description The limit that applied when it was last used; `null` when counted without one.
                 */
                limit?: number | null;
                /** Format: int64 */
                remaining?: number | null;
                /**
                 * Format: date-time
                 * @description When the next window starts, and usage with it at 0.
                 */
                resets_at: string;
                tenant: string;
                /** Format: uuid */
                tenant_id: string;
                tool: string;
                /** Format: uuid */
                tool_id: string;
                /**
                 * Format: int64
                 * @description Allows in this window.
                 */
                usage: number;
                /**
                 * @description `15m`, `1h`, `1d`, `30d` or `month`.
                 * @example 1d
                 */
                window: string;
                /** Format: date-time */
                window_start: string;
            }[];
            /** @description Pass it as `cursor` to get the next page; `null` on the last. */
            next_cursor?: string | null;
        };
        /** @description One page of a listing. */
        List_Tenant: {
            items: {
                /** Format: date-time */
                created_at: string;
                display_name: string;
                /** Format: uuid */
                id: string;
                /** @example platform-eng */
                slug: string;
            }[];
            /** @description Pass it as `cursor` to get the next page; `null` on the last. */
            next_cursor?: string | null;
        };
        /** @description One page of a listing. */
        List_Tombstone: {
            items: {
                /** Format: date-time */
                destroyed_at: string;
                /** Format: uuid */
                id: string;
                /**
                 * Format: int32
                 * @description Which key of the tenant, counting from one.
                 */
                key_generation: number;
                /**
                 * Format: int64
                 * @description Where it is in that.
                 */
                log_index: number;
                /**
                 * Format: int32
                 * @description Which shard of the transparency log it is in, counting from one.
                 */
                log_shard: number;
                /** @description Who had it destroyed. */
                principal: string;
                reason?: string | null;
                tenant: string;
            }[];
            /** @description Pass it as `cursor` to get the next page; `null` on the last. */
            next_cursor?: string | null;
        };
        /** @description One page of a listing. */
        List_Tool: {
            items: {
                /** Format: date-time */
                created_at: string;
                /** @description SHA-256 of what is registered; a policy can pin it. */
                digest: string;
                health?: components["schemas"]["Health"] | null;
                /** @description Address that is polled for the tool's health. */
                healthcheck?: string | null;
                /** Format: uuid */
                id: string;
                /**
                 * @description Not retired, not quarantined, and not covered by a kill of it, of a scope or tag that it has,
                 *     of its tenant, or everything.
                 */
                is_active: boolean;
                metadata: Record<string, never>;
                /** @example langsmith-docs-search */
                name: string;
                owner: string;
                pin?: components["schemas"]["ToolPin"] | null;
                /** Format: date-time */
                retired_at?: string | null;
                scopes: string[];
                /** Format: uuid */
                tenant_id: string;
                /** @example platform-eng */
                tenant_slug: string;
                /** Format: date-time */
                updated_at: string;
                url: string;
            }[];
            /** @description Pass it as `cursor` to get the next page; `null` on the last. */
            next_cursor?: string | null;
        };
        /** @description One page of a listing. */
        List_Upstream: {
            items: {
                /** Format: date-time */
                created_at: string;
                /** @description Identifier of the principal who added it. */
                created_by: string;
                /**
                 * @description What is wrong with the definitions of its tools, as far as the server that answers has seen
                 *     them; absent when nothing is.
                 */
                defects?: components["schemas"]["ToolDefect"][];
                /** Format: uuid */
                id: string;
                /** @example github */
                name: string;
                status?: components["schemas"]["UpstreamStatus"] | null;
                /** Format: uuid */
                tenant_id: string;
                /** @example platform-eng */
                tenant_slug: string;
                /** @description As it was given; credentials are references. */
                transport: Record<string, never>;
            }[];
            /** @description Pass it as `cursor` to get the next page; `null` on the last. */
            next_cursor?: string | null;
        };
        /**
         * @description What the manifest says. When its signature does not hold, these are the columns under which it
         *     is stored, and `verified` is false.
         */
        Manifest: {
            action: string;
            agent?: string | null;
            /**
             * @description What was decided, as signed; `false` with an outcome says that a denied call was made all
             *     the same. `null` when no decision is linked, or the signature does not hold.
             */
            decision_allow?: boolean | null;
            /** Format: uuid */
            decision_id?: string | null;
            /** Format: uuid */
            id: string;
            metadata: Record<string, never>;
            /** @description SHA-256 of salt and payload. */
            payload_hash: string;
            /**
             * @description `decision` (made before the call) or `outcome` (what became of it); `null` when the
             *     signature does not hold.
             */
            phase?: string | null;
            principal?: string | null;
            purpose?: string | null;
            /** @description The DSSE signature, base64; `null` when the envelope cannot be read. */
            signature?: string | null;
            tenant?: string | null;
            /** Format: date-time */
            timestamp: string;
            tool: string;
        };
        /** @description A stored manifest, without its bundle. */
        ManifestRecord: {
            action: string;
            /** Format: date-time */
            created_at: string;
            /** Format: uuid */
            decision_id?: string | null;
            /** Format: uuid */
            id: string;
            /** @description SHA-256 of salt and payload. */
            payload_hash: string;
            purpose?: string | null;
            tenant?: string | null;
            /** Format: uuid */
            tenant_id: string;
            tool: string;
        };
        /** @description A key just made. */
        NewApiKey: components["schemas"]["ApiKey"] & {
            /** @description The key itself, `snt_<role>_<random>`. It is shown here and never again. */
            secret: string;
        };
        /** @description What a rule comes to; without `result` when there is no such rule. */
        OpaAnswer: {
            /** Format: uuid */
            decision_id: string;
            result: components["schemas"]["OpaResult"];
        };
        /** @description The decision document, as it was enforced. */
        OpaDecision: {
            allow: boolean;
            /**
             * @description Why, for programs; a closed set.
             *
             *     - `allowed`: Policy allows the call and the quota has room.
             *     - `policy_denied`: Policy denies; `reasons` says why.
             *     - `quota_exceeded`: The quota of the window is used up.
             *     - `rate_limited`: A rate limit leaves no room at the moment; `reason` says which, and when to try again.
             *     - `rate_limiter_unavailable`: A rate limit applies and cannot be counted at the moment.
             *     - `call_id_spent`: The allow of this `call_id` cannot be repeated: its permit was used or has expired. A new call needs another `call_id`.
             *     - `killed`: A kill covers the call.
             *     - `unknown_tenant`: No such tenant.
             *     - `unknown_tool`: The tenant has no such tool.
             *     - `tool_retired`: The tool is retired.
             *     - `tool_drift`: The definition of the tool has changed, and an operator has not approved the new one.
             *     - `tool_unapproved`: The tool is new, and the configuration demands that an operator approves it first.
             *     - `upstream_removed`: The tool belongs to an upstream that was removed.
             *     - `tenant_forbidden`: The caller's key is bound to another tenant.
             *     - `agent_forbidden`: The caller's key is bound to another agent.
             *     - `agent_required`: The call names no agent, and the configuration or the policy demands one.
             *     - `key_revoked`: The caller's key was revoked while the check was under way.
             *     - `no_permit`: The tool was called without a valid permit. Its server refused the call and reported it.
             *     - `no_policy`: No policy is loaded.
             *     - `policy_undefined`: The policy has no answer for this input.
             *     - `policy_error`: The policy failed while it was evaluated.
             *     - `policy_timeout`: The policy took longer than its limit.
             *     - `policy_malformed`: The policy's answer is not a decision document.
             *     - `unknown_obligation`: The policy demands an obligation that this version cannot fulfil.
             *     - `policy_unavailable`: The remote policy engine cannot be reached, or broke off its answer.
             *     - `policy_circuit_open`: The remote policy engine failed several times in a row and is not asked for a moment.
             * @enum {string}
             */
            code: "allowed" | "policy_denied" | "quota_exceeded" | "rate_limited" | "rate_limiter_unavailable" | "call_id_spent" | "killed" | "unknown_tenant" | "unknown_tool" | "tool_retired" | "tool_drift" | "tool_unapproved" | "upstream_removed" | "tenant_forbidden" | "agent_forbidden" | "agent_required" | "key_revoked" | "no_permit" | "no_policy" | "policy_undefined" | "policy_error" | "policy_timeout" | "policy_malformed" | "unknown_obligation" | "policy_unavailable" | "policy_circuit_open";
            obligations: Record<string, never>[];
            permit?: string | null;
            policy_revision?: string | null;
            quota?: Record<string, never> | null;
            reason: string;
            reasons: components["schemas"]["Reason"][];
        };
        /**
         * @description The call that is to be decided: the part of the policy's `input` that callers state. What the
         *     server knows itself (`principal`, `tool_record`, `time`) is refused.
         */
        OpaInput: {
            /** @example invoke */
            action: string;
            agent?: string | null;
            arguments?: Record<string, never> | null;
            /**
             * @description Makes the question idempotent for 24 hours, as that of `POST /policy/check`; no part of
             *     OPA's input.
             */
            call_id?: string | null;
            context?: Record<string, never> | null;
            /** @example documentation_lookup */
            purpose?: string | null;
            /** @example platform-eng */
            tenant: string;
            /** @example langsmith-docs-search */
            tool: string;
            /** Format: int64 */
            usage?: number | null;
        };
        /** @description One file of Rego. */
        OpaModule: {
            id: string;
            raw: string;
        };
        /** @description The modules of the policy in force. */
        OpaPolicies: {
            result: components["schemas"]["OpaModule"][];
        };
        /** @description The question, as OPA takes it. */
        OpaQuestion: {
            input: components["schemas"]["OpaInput"];
        };
        /** @description The value of the rule. */
        OpaResult: components["schemas"]["OpaDecision"] | boolean;
        /** @description A definition that is kept. */
        PinnedDefinition: {
            definition: Record<string, never>;
            digest: string;
        };
        /** @description One change of what policy is in force. */
        PolicyChange: {
            /** @description The principal, `key:…`; or `source:` and the directory or bundle that was loaded. */
            actor: string;
            /** Format: date-time */
            at: string;
            /** @description By name: of the key, or the author that a bundle's manifest states. */
            author?: string | null;
            /**
             * Format: int64
             * @description The version of the data afterwards; decisions from there on name it after their revision.
             */
            data_version?: number | null;
            /** @description Why a revision was refused; whom a rollout is for. */
            detail?: string | null;
            /**
             * Format: int64
             * @description The epoch that the change began; none of what a source brought.
             */
            epoch?: number | null;
            /** Format: uuid */
            id: string;
            /**
             * @description `activated` or `refused`: a revision that a server loaded; `data_put`, `data_removed`;
             *     `rollout_started`, `rollout_promoted`, `rollout_dropped`.
             * @example data_put
             */
            kind: string;
            /** @description Where data changed, a JSON pointer. */
            path?: string | null;
            reason?: string | null;
            /** @description The revision that came into force, or is monitored. */
            revision?: string | null;
            /** Format: uuid */
            rollout_id?: string | null;
        };
        /** @description What was put. */
        PolicyData: {
            /** @description What the header `ETag` says: of this value alone. */
            etag: string;
            /** @description A JSON pointer; empty for everything. */
            path: string;
            value: Record<string, never>;
            /**
             * Format: int64
             * @description Of all data; decisions name it after their revision: `1.0+data.17`.
             */
            version: number;
        };
        /** @description A change of policy data. */
        PolicyDataChange: components["schemas"]["PolicyChange"] & {
            /** @description What was put at the path; absent when it was removed. */
            value?: Record<string, never> | null;
        };
        /** @description A candidate policy. */
        PolicyRollout: {
            actor: string;
            comparison?: components["schemas"]["RolloutComparison"] | null;
            /** @description SHA-256 of its files. */
            digest: string;
            /** Format: uuid */
            id: string;
            /** @description Whether this server holds it ready. */
            loaded: boolean;
            /**
             * Format: int32
             * @description The share of their calls that is compared.
             */
            percent: number;
            revision: string;
            /** Format: date-time */
            started_at: string;
            /** @description `monitored` or `promoted`. */
            state: string;
            /** @description The tenants whose calls are compared; all when empty. */
            tenants: string[];
        };
        /** @description The state of the rollout. */
        PolicyRollouts: {
            monitored?: components["schemas"]["PolicyRollout"] | null;
            promoted?: components["schemas"]["PolicyRollout"] | null;
        };
        /** @description The policy in force. */
        PolicyStatus: {
            /** @description Who wrote the source's revision, where its manifest says so. */
            author?: string | null;
            /**
             * Format: int64
             * @description Of the data that was put beside it, 0 when none ever was.
             */
            data_version: number;
            engine: string;
            /** @description Why the last attempt to load was refused, when it was. */
            error?: string | null;
            /**
             * Format: date-time
             * @description When the source's revision was loaded.
             */
            loaded_at?: string | null;
            /**
             * Format: date-time
             * @description Since when every attempt was refused with that error.
             */
            refused_at?: string | null;
            /** @description What decides, as decisions name it; `null` while nothing does: everything is denied. */
            revision?: string | null;
            /**
             * @description What the source brought: another revision than the one that decides when data was put beside
             *     it (`1.0+data.17`) or a candidate was promoted.
             */
            source_revision?: string | null;
        };
        /** @description An error: RFC 9457 `application/problem+json`. */
        Problem: {
            /**
             * @description Always `false`; present in responses of `/policy/check`, so that a client that reads nothing
             *     else stays closed.
             */
            allow?: boolean | null;
            /** @description What went wrong, for programs; stable. */
            code: string;
            /**
             * Format: uuid
             * @description The recorded decision that this error is about.
             */
            decision_id?: string | null;
            /** @description What went wrong, for people. */
            detail: string;
            /** @description Each of the reasons, where there can be several. */
            reasons?: string[];
            /** @description Identifier of the request, also in the header `X-Request-Id`. */
            request_id: string;
            /**
             * Format: int32
             * @description The HTTP status.
             */
            status: number;
            /** @description The code in words. */
            title: string;
            /**
             * Format: uri
             * @description `https://sentinel-mcp.dev/problems/` and the code.
             */
            type: string;
        };
        /** @description The limit that policy stated. */
        Quota: {
            /** Format: int64 */
            limit: number;
            /** @description `15m`, `1h`, `1d`, `30d` or `month`. */
            window: string;
        };
        /** @description What is used of one tool's quota in the window under way. */
        QuotaUsage: {
            /**
             * Format: int64
             * @description The limit that applied when it was last used; `null` when counted without one.
             */
            limit?: number | null;
            /** Format: int64 */
            remaining?: number | null;
            /**
             * Format: date-time
             * @description When the next window starts, and usage with it at 0.
             */
            resets_at: string;
            tenant: string;
            /** Format: uuid */
            tenant_id: string;
            tool: string;
            /** Format: uuid */
            tool_id: string;
            /**
             * Format: int64
             * @description Allows in this window.
             */
            usage: number;
            /**
             * @description `15m`, `1h`, `1d`, `30d` or `month`.
             * @example 1d
             */
            window: string;
            /** Format: date-time */
            window_start: string;
        };
        /** @description The server decides. */
        Ready: {
            kill_self_test?: components["schemas"]["KillSelfTest"] | null;
            /** @description Always `ready`. */
            status: string;
        };
        /** @description One reason, as policy words it. */
        Reason: {
            code: string;
            msg: string;
        };
        /** @description The call may be made, now and once. */
        RedeemAnswer: {
            /** Format: uuid */
            decision_id: string;
            /** @description Always `true`. */
            redeemed: boolean;
            /** Format: uuid */
            tool_id: string;
        };
        /** @description A permit, and the call it is to be used for. */
        RedeemRequest: {
            /** @description The arguments of the call, as they were checked. */
            arguments?: Record<string, never> | null;
            /** @description As the check answered it. */
            permit: string;
            /** Format: uuid */
            tool_id: string;
        };
        /** @description The tool that is to be registered. */
        RegisterRequest: {
            /** @description Absolute `http` or `https` address that is polled for the tool's health. */
            healthcheck?: string | null;
            metadata?: Record<string, never> | null;
            /** @example langsmith-docs-search */
            name: string;
            /** @example platform@example.com */
            owner: string;
            scopes?: string[] | null;
            /**
             * @description Created when new.
             * @example platform-eng
             */
            tenant_slug: string;
            /** @example https://docs.example.com/mcp */
            url: string;
        };
        /** @description What was restored. */
        RestoreAnswer: {
            /** @description How many tools it reaches. */
            affected_count: number;
            /** @description The tools it reaches, at most 1,000; empty when nothing of exactly this scope was killed. */
            affected_tools: string[];
            /** Format: int64 */
            epoch: number;
            /** @description The kills that ended. */
            kills: string[];
            /** @description Always `enabled`. */
            status: string;
        };
        /** @description The call may go on, as of now. */
        ResumeAnswer: {
            /** Format: uuid */
            decision_id: string;
            /** @description Always `true`. */
            resumed: boolean;
        };
        /** @description A call that was allowed, and is to go on. */
        ResumeRequest: {
            action: string;
            /** @description The arguments of the call, as they were checked. */
            arguments?: Record<string, never> | null;
            /**
             * Format: uuid
             * @description The decision that allowed it.
             */
            decision_id: string;
            /**
             * Format: int32
             * @description Which time the call is sent next, from 1 on. It is under way then until its outcome is signed,
             *     and a second time of that number is refused (409 `permit_used`).
             */
            round?: number | null;
            /** @description As it was decided on. */
            tool_name: string;
        };
        /** @description The definition that an operator has looked at. */
        ReviewRequest: {
            /** @description Digest of the definition that is offered: another one may be offered by now. */
            digest: string;
        };
        /** @description How a candidate's decisions compare with those that counted. */
        RolloutComparison: {
            /** Format: int64 */
            agreed: number;
            /**
             * Format: int64
             * @description Not compared, so that decisions are not slowed down.
             */
            dropped: number;
            /**
             * Format: int64
             * @description The candidate failed, among the others: it would deny.
             */
            errors: number;
            /** @description The latest disagreements, newest first; never more than 200. */
            examples: components["schemas"]["RolloutExample"][];
            /**
             * Format: int64
             * @description Denied, where the candidate would have allowed.
             */
            newly_allowed: number;
            /**
             * Format: int64
             * @description Allowed, where the candidate would have denied.
             */
            newly_denied: number;
            /**
             * Format: int64
             * @description Both allow, or both deny, with another quota, obligation or reason.
             */
            otherwise: number;
        };
        /** @description One call on which they disagree. */
        RolloutExample: {
            /** Format: date-time */
            at: string;
            candidate: components["schemas"]["RolloutSide"];
            decided: components["schemas"]["RolloutSide"];
            /** Format: uuid */
            decision_id: string;
            tenant: string;
            tool: string;
        };
        /** @description A candidate, and whose calls it is compared on. */
        RolloutRequest: {
            /** @description The files of the policy by path: `*.rego`, `data.json`, `.manifest`. */
            files: {
                [key: string]: string;
            };
            /**
             * Format: int32
             * @description The share of their calls that is compared, 1 to 100; 100 when left out.
             */
            percent?: number | null;
            /** @description Kept in the record of changes. */
            reason?: string | null;
            /** @description Slugs of the tenants whose calls are compared; all when left out. */
            tenants?: string[] | null;
        };
        /** @description What one policy answered. */
        RolloutSide: {
            allow: boolean;
            /** @description Why there is no decision. */
            error?: string | null;
            /** @description Codes of the reasons. */
            reasons: string[];
            revision?: string | null;
        };
        /** @description Which one, and why. */
        RolloutStep: {
            /** @description Kept in the record of changes. */
            reason?: string | null;
            /**
             * Format: uuid
             * @description The candidate that is meant: when it is another one by now, nothing happens. Whichever there
             *     is when left out.
             */
            rollout_id?: string | null;
        };
        /** @description The salt of a payload commitment. */
        Salt: {
            /** Format: uuid */
            manifest_id: string;
            /** @description Hex. */
            salt: string;
        };
        /** @description How the shadow engine compares with the one that decides, since the start of this server. */
        Shadow: {
            /** Format: int64 */
            agreed: number;
            /** @description Whether an engine is compared at all. */
            compared: boolean;
            /** Format: int64 */
            disagreed: number;
            /** @description The latest, newest first; never more than 200. */
            disagreements: components["schemas"]["ShadowDisagreement"][];
            /**
             * Format: int64
             * @description Not compared, since too many waited or the input was too large.
             */
            dropped: number;
            /**
             * Format: int64
             * @description The shadow engine gave no answer.
             */
            errors: number;
        };
        /** @description One call on which they disagree; nothing of its arguments is kept. */
        ShadowDisagreement: {
            /** Format: date-time */
            at: string;
            /** @description What counted. */
            decided: components["schemas"]["ShadowSide"];
            /** @description SHA-256 of the canonical form of what policy saw. */
            input_hash: string;
            shadow: components["schemas"]["ShadowSide"];
            tenant: string;
            tool: string;
        };
        /** @description What one engine answered. */
        ShadowSide: {
            allow: boolean;
            /** @description Why there is no decision. */
            error?: string | null;
            /** @description Each as JSON. */
            obligations: string[];
            quota?: Record<string, never> | null;
            reasons: components["schemas"]["Reason"][];
            revision?: string | null;
        };
        /** @description The manifest, which is on disk. */
        SignAnswer: {
            /**
             * Format: int64
             * @description Where the manifest is in the transparency log.
             */
            log_index: number;
            /** Format: uuid */
            manifest_id: string;
            /** @description SHA-256 of salt and payload. */
            payload_hash: string;
            /**
             * @description Hex; needed, with the payload, to show what was committed to. Keep it as you keep the
             *     payload.
             */
            salt: string;
            /** @description The DSSE signature, base64. */
            signature: string;
            /**
             * Format: int64
             * @description Milliseconds since the Unix epoch.
             */
            timestamp: number;
        };
        /** @description A key, and what became of it. */
        SigningKey: {
            events: components["schemas"]["SigningKeyEvent"][];
            /** @description SSH fingerprint, as bundles name it. */
            hint: string;
            /** @description PEM. */
            public_key: string;
            /** @description `active`, `retired` or `revoked`. */
            state: string;
        };
        /** @description What happened to a key, as it was logged. */
        SigningKeyEvent: {
            /** Format: date-time */
            at: string;
            /** @description The signed statement with its place in the log, a Sigstore bundle about the PEM. */
            bundle: Record<string, never>;
            /** @description `introduced`, `certified`, `retired` or `revoked`. */
            event: string;
            /** Format: int64 */
            log_index?: number | null;
            reason?: string | null;
        };
        /** @description Every key that ever signed here. */
        SigningKeys: {
            items: components["schemas"]["SigningKey"][];
        };
        /** @description The action that is to be signed. */
        SignRequest: {
            /** @example invoke */
            action: string;
            /**
             * @description The agent that acted; a key bound to an agent may leave it out, and may name no other. That
             *     of the decision when it is left out.
             */
            agent?: string | null;
            /**
             * Format: uuid
             * @description The decision that the action rests on. It must be of the same tenant, tool, action, purpose,
             *     agent and principal; else 409 (`decision_mismatch`) names what differs.
             */
            decision_id?: string | null;
            /**
             * @description Makes signing the outcome of a decision idempotent: the same key of the same caller for the
             *     same decision gives the manifest that is there already. With another payload it is 409
             *     `idempotency_conflict`. Needs `decision_id`. 1 to 200 graphic ASCII characters.
             */
            idempotency_key?: string | null;
            /**
             * @description Keeps the payload, encrypted; without it nothing of it is kept. Fails with 422
             *     (`payloads_not_kept`) where the deployment keeps none.
             */
            keep_payload?: boolean;
            /** @description Signed as it is, and public. */
            metadata?: Record<string, never> | null;
            /** @description Any JSON value. The manifest commits to its exact bytes. */
            payload: unknown;
            /** @description That of the decision when it is left out. */
            purpose?: string | null;
            /** @example platform-eng */
            tenant_slug: string;
            /** @example langsmith-docs-search */
            tool_name: string;
        };
        /** @description Where each tool stands. */
        StandingAnswer: {
            /**
             * @description In the order of the request; behind them what the server offers besides tools, in the order
             *     `resources`, `prompts`, `completion`, `sampling`, `elicitation`.
             */
            tools: components["schemas"]["ToolStanding"][];
        };
        /** @description What a wrapped server lists. */
        StandingRequest: {
            /** @description The agent that the list is for. */
            agent?: string | null;
            /** @description What policy sees as `input.context`. */
            context?: Record<string, never> | null;
            purpose?: string | null;
            /** @description The definitions, as `tools/list` returned them; at most 1,000. */
            tools: Record<string, never>[];
        };
        /** @description A candidate that is monitored from now on. */
        StartedRollout: components["schemas"]["PolicyRollout"] & {
            /** @description What vetting found that does not speak against it. */
            warnings: string[];
        };
        /** @description The state of the kill switch, sent first and whenever events were missed. */
        SyncEvent: {
            /**
             * Format: int64
             * @description The epoch that this is the state of. A kill event whose `metadata.epoch` is not greater is
             *     in it already.
             */
            epoch: number;
            /** @description Always `sync`. */
            event: string;
            /** @description Whether events were missed that are not sent again. */
            gap: boolean;
            /** @description Every kill in force that reaches what the caller may see. */
            kills: components["schemas"]["Kill"][];
        };
        /** @description A tenant. */
        Tenant: {
            /** Format: date-time */
            created_at: string;
            display_name: string;
            /** Format: uuid */
            id: string;
            /** @example platform-eng */
            slug: string;
        };
        /** @description The tenant that is to be created. */
        TenantRequest: {
            /** @description The slug when left out. */
            display_name?: string | null;
            /** @example platform-eng */
            slug: string;
        };
        /** @description The signed statement that a payload key was destroyed. */
        Tombstone: {
            /** Format: date-time */
            destroyed_at: string;
            /** Format: uuid */
            id: string;
            /**
             * Format: int32
             * @description Which key of the tenant, counting from one.
             */
            key_generation: number;
            /**
             * Format: int64
             * @description Where it is in that.
             */
            log_index: number;
            /**
             * Format: int32
             * @description Which shard of the transparency log it is in, counting from one.
             */
            log_shard: number;
            /** @description Who had it destroyed. */
            principal: string;
            reason?: string | null;
            tenant: string;
        };
        /** @description A registered tool. */
        Tool: {
            /** Format: date-time */
            created_at: string;
            /** @description SHA-256 of what is registered; a policy can pin it. */
            digest: string;
            health?: components["schemas"]["Health"] | null;
            /** @description Address that is polled for the tool's health. */
            healthcheck?: string | null;
            /** Format: uuid */
            id: string;
            /**
             * @description Not retired, not quarantined, and not covered by a kill of it, of a scope or tag that it has,
             *     of its tenant, or everything.
             */
            is_active: boolean;
            metadata: Record<string, never>;
            /** @example langsmith-docs-search */
            name: string;
            owner: string;
            pin?: components["schemas"]["ToolPin"] | null;
            /** Format: date-time */
            retired_at?: string | null;
            scopes: string[];
            /** Format: uuid */
            tenant_id: string;
            /** @example platform-eng */
            tenant_slug: string;
            /** Format: date-time */
            updated_at: string;
            url: string;
        };
        /** @description What is to change; fields that are left out stay. */
        ToolChange: {
            /** @description `null` removes the health check. */
            healthcheck?: string | null;
            metadata?: Record<string, never> | null;
            owner?: string | null;
            scopes?: string[] | null;
            url?: string | null;
        };
        /** @description What is wrong with the definition of a tool of an upstream. */
        ToolDefect: {
            /** @description What is wrong, or what was repaired, for people. */
            detail: string;
            /**
             * @description `tool_repaired` for a tool that is shown all the same. The others are not shown, and calls of
             *     them are denied: `tool_malformed`, `tool_too_large`, `tool_schema_broken`,
             *     `tool_name_invalid`, `tool_name_collision` or `tool_limit`.
             */
            reason: string;
            /** @description As the server calls it, shortened; as the registry would, when the registry refused it. */
            tool: string;
        };
        /** @description A pinned tool, with the definitions that its pin is about. */
        ToolDrift: {
            approved?: components["schemas"]["PinnedDefinition"] | null;
            /**
             * @description The members of the definition that differ. When none does, the tool is offered by another
             *     command or address than it was.
             */
            changed: string[];
            name: string;
            offered?: components["schemas"]["PinnedDefinition"] | null;
            quarantine?: components["schemas"]["ToolQuarantine"] | null;
            tenant_slug: string;
            /** Format: uuid */
            tool_id: string;
        };
        /** @description What a tool of an upstream is pinned to. */
        ToolPin: {
            /** @description Digest of the approved definition. */
            approved?: string | null;
            quarantine?: components["schemas"]["ToolQuarantine"] | null;
            /**
             * Format: uuid
             * @description The upstream that offered the tool last.
             */
            upstream_id: string;
        };
        /** @description Why a tool of an upstream cannot be called. */
        ToolQuarantine: {
            /** @description `drift`, `rejected`, `unapproved` or `upstream_removed`. */
            cause: string;
            /** @description Digest of the definition that is offered instead of the approved one. */
            offered?: string | null;
            /** Format: date-time */
            since: string;
        };
        /** @description Where a tool of a listing stands. */
        ToolStanding: {
            /**
             * @description In the registry.
             * @example github__create_issue
             */
            name: string;
            /**
             * @description Why it cannot be called: `tool_drift`, `tool_unapproved`, `upstream_removed`,
             *     `tool_retired`, `unknown_tool`, `tool_name_invalid`, `tool_name_collision`,
             *     `tool_too_large` or `tool_limit`.
             */
            quarantined?: string | null;
            /** @description Whether policy lets the agent see it. */
            visible: boolean;
        };
        /**
         * @description Why the server of a tool refused a call.
         * @enum {string}
         */
        Uncovered: "no_permit" | "permit_invalid" | "permit_used" | "permit_refused";
        /** @description The report is on record. */
        UncoveredAnswer: {
            /**
             * Format: uuid
             * @description The deny that records it, with the code `no_permit`.
             */
            decision_id: string;
        };
        /** @description A call that reached a tool without Sentinel, and that the tool's server refused. */
        UncoveredRequest: {
            /** @example call */
            action: string;
            reason: components["schemas"]["Uncovered"];
            /** @example platform-eng */
            tenant_slug: string;
            /**
             * @description As the server knows it; it need not be registered.
             * @example langsmith-docs-search
             */
            tool_name: string;
        };
        /** @description An MCP server behind the gateway. */
        Upstream: {
            /** Format: date-time */
            created_at: string;
            /** @description Identifier of the principal who added it. */
            created_by: string;
            /**
             * @description What is wrong with the definitions of its tools, as far as the server that answers has seen
             *     them; absent when nothing is.
             */
            defects?: components["schemas"]["ToolDefect"][];
            /** Format: uuid */
            id: string;
            /** @example github */
            name: string;
            status?: components["schemas"]["UpstreamStatus"] | null;
            /** Format: uuid */
            tenant_id: string;
            /** @example platform-eng */
            tenant_slug: string;
            /** @description As it was given; credentials are references. */
            transport: Record<string, never>;
        };
        /** @description The upstream that is to be added. */
        UpstreamRequest: {
            /**
             * @description 1 to 32 lowercase letters, digits and single `-`; its tools are named `name__tool`.
             * @example github
             */
            name: string;
            /** @example platform-eng */
            tenant_slug: string;
            /**
             * @description `{"stdio": {"command": […], "env": {…}}}`, `{"http": {"url", "headers": {…}}}`,
             *     `{"sse": {"url", "headers": {…}}}`, or `"wrapped"` for a server that `sentinel mcp wrap`
             *     runs. Values of `env` and `headers` are references to secrets: `env:NAME` or `file:/PATH`.
             */
            transport: Record<string, never>;
        };
        /** @description How the connection to an upstream is doing. */
        UpstreamStatus: {
            /**
             * Format: int64
             * @description Requests under way.
             */
            in_flight: number;
            /** @description Why the last connection failed or broke. */
            last_error?: string | null;
            /**
             * Format: int64
             * @description Milliseconds that the last handshake or list took.
             */
            latency_ms?: number | null;
            /**
             * Format: int64
             * @description Connections that were established before this one.
             */
            restarts: number;
            /** @description The revision of MCP that is spoken. */
            revision?: string | null;
            /** Format: date-time */
            since: string;
            /**
             * @description `idle` (not needed yet), `connecting`, `up`, `down`, `paused` (left alone for a while after
             *     it failed several times) or `closed`.
             */
            state: string;
        };
        /** @description The result of verifying a manifest. */
        VerifyAnswer: {
            checks: components["schemas"]["Check"][];
            manifest: components["schemas"]["Manifest"];
            /** Format: uuid */
            manifest_id: string;
            /** @description Whether every check that could be made passed. */
            verified: boolean;
        };
    };
    responses: never;
    parameters: never;
    requestBodies: never;
    headers: never;
    pathItems: never;
}
export type $defs = Record<string, never>;
export interface operations {
    authzen_configuration: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description the addresses */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AuthzenConfiguration"];
                };
            };
            /** @description any other error */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    authzen_evaluation: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["AuthzenEvaluation"];
            };
        };
        responses: {
            /** @description the decision */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AuthzenDecision"];
                };
            };
            /** @description no key, or none that is valid */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description the key's role, tenant or agent forbids it */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description any other error */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    authzen_evaluations: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["AuthzenEvaluations"];
            };
        };
        responses: {
            /** @description the decisions */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AuthzenDecisions"];
                };
            };
            /** @description no key, or none that is valid */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description the key's role, tenant or agent forbids it */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description any other error */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    docs: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description the page */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "text/html": string;
                };
            };
            /** @description any other error */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    docs_file: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description name of the file */
                file: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description the file */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/octet-stream": number[];
                };
            };
            /** @description any other error */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    opa_health: {
        parameters: {
            query?: {
                /** @description whether a policy decides, too */
                bundles?: string;
                /** @description as `bundles` */
                plugins?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description healthy */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": unknown;
                };
            };
            /** @description not healthy */
            500: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": unknown;
                };
            };
            /** @description any other error */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    healthz: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description alive */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Alive"];
                };
            };
            /** @description any other error */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    kill: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["KillRequest"];
            };
        };
        responses: {
            /** @description stopped */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["KillAnswer"];
                };
            };
            /** @description no key, or none that is valid */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description the key's role, tenant or agent forbids it */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description `older_servers_connected`: a server of an older version, which does not know this kind of kill, is connected to the database */
            409: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description `invalid_target` or `invalid_kill_time` */
            422: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description any other error */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    kill_restore: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["KillTarget"];
            };
        };
        responses: {
            /** @description restored */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["RestoreAnswer"];
                };
            };
            /** @description no key, or none that is valid */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description the key's role, tenant or agent forbids it */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description any other error */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    metrics: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description the metrics */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/openmetrics-text": string;
                };
            };
            /** @description no key, or none that is valid */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description the key's role, tenant or agent forbids it */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description any other error */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    openapi_json: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description the document */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": Record<string, never>;
                };
            };
            /** @description any other error */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    policy_check: {
        parameters: {
            query?: never;
            header?: {
                /** @description How long the caller waits, in milliseconds. A check that is not decided by then is dropped: 503 `deadline_exceeded`, nothing recorded or counted. */
                "x-request-timeout-ms"?: number | null;
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["CheckRequest"];
            };
        };
        responses: {
            /** @description the decision */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["CheckAnswer"];
                };
            };
            /** @description no key, or none that is valid */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description the key's role, tenant or agent forbids it */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description `unknown_tenant` or `unknown_tool`; recorded as a deny, `decision_id` names it */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description `call_id_conflict`: the call id was used for another call */
            409: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description `overloaded` (more is under way than can be answered in time), `deadline_exceeded` or `store_unavailable`; try again after `Retry-After` */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description any other error */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    provenance_sign: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["SignRequest"];
            };
        };
        responses: {
            /** @description signed */
            201: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["SignAnswer"];
                };
            };
            /** @description no key, or none that is valid */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description the key's role, tenant or agent forbids it */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description any other error */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    provenance_verify: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description the manifest */
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description what verifying it showed */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["VerifyAnswer"];
                };
            };
            /** @description no key, or none that is valid */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description the key's role, tenant or agent forbids it */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description any other error */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    readyz: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description ready */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Ready"];
                };
            };
            /** @description any other error */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    register_list: {
        parameters: {
            query?: {
                /** @description Tools of this tenant only. */
                tenant_slug?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description the tools, oldest first */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Tool"][];
                };
            };
            /** @description no key, or none that is valid */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description the key's role, tenant or agent forbids it */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description any other error */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    register: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["RegisterRequest"];
            };
        };
        responses: {
            /** @description the tool as registered */
            201: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Tool"];
                };
            };
            /** @description no key, or none that is valid */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description the key's role, tenant or agent forbids it */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description any other error */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    register_tenants: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description the tenants, by slug */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Tenant"][];
                };
            };
            /** @description no key, or none that is valid */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description the key's role, tenant or agent forbids it */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description any other error */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    opa_data_get: {
        parameters: {
            query?: {
                /** @description the input, as JSON */
                input?: string;
            };
            header?: never;
            path: {
                /** @description `sentinel/policy/decision` or `…/allow` */
                path: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description what the rule comes to */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["OpaAnswer"];
                };
            };
            /** @description no key, or none that is valid */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description the key's role, tenant or agent forbids it */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description any other error */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    opa_data_post: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description `sentinel/policy/decision` or `…/allow` */
                path: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["OpaQuestion"];
            };
        };
        responses: {
            /** @description what the rule comes to */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["OpaAnswer"];
                };
            };
            /** @description no key, or none that is valid */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description the key's role, tenant or agent forbids it */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description any other error */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    decisions_list: {
        parameters: {
            query?: {
                agent?: string;
                /** @description A reason code. */
                code?: string;
                /** @description `next_cursor` of the previous page. */
                cursor?: string;
                decision?: "allow" | "deny";
                /** @description From this time on, RFC 3339. */
                from?: string;
                /** @description Rows at most, 1 to 1,000; 100 when left out. */
                limit?: number;
                /** @description `true`: those of the servers' self-tests as well, which are left out else. */
                self_tests?: boolean;
                tenant?: string;
                /** @description Before this time, RFC 3339. */
                to?: string;
                tool?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description decisions, newest first */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["List_Decision"];
                };
            };
            /** @description no key, or none that is valid */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description the key's role, tenant or agent forbids it */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description any other error */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    decisions_get: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description the decision */
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description the decision */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Decision"];
                };
            };
            /** @description no key, or none that is valid */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description the key's role, tenant or agent forbids it */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description any other error */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    decisions_export: {
        parameters: {
            query?: {
                agent?: string;
                /** @description A reason code. */
                code?: string;
                decision?: "allow" | "deny";
                /** @description From this time on, RFC 3339. */
                from?: string;
                /** @description `true`: those of the servers' self-tests as well, which are left out else. */
                self_tests?: boolean;
                tenant?: string;
                /** @description Before this time, RFC 3339. */
                to?: string;
                tool?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description the decisions */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/x-ndjson": string;
                };
            };
            /** @description no key, or none that is valid */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description the key's role, tenant or agent forbids it */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description any other error */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    events: {
        parameters: {
            query?: {
                /**
                 * @description `id` of the last event received, for clients that cannot send the header `Last-Event-ID`,
                 *     which counts when both are there.
                 */
                last_event_id?: string;
                /** @description Events wanted, such as `kill_switch.*,policy.check.deny`; all when left out. */
                types?: string;
            };
            header?: {
                /** @description `id` of the last event received */
                "Last-Event-ID"?: string | null;
            };
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description the events; the schema is that of `sync` */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "text/event-stream": components["schemas"]["SyncEvent"];
                };
            };
            /** @description no key, or none that is valid */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description the key's role, tenant or agent forbids it */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description any other error */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    keys_list: {
        parameters: {
            query?: {
                /** @description `next_cursor` of the previous page. */
                cursor?: string;
                /** @description Rows at most, 1 to 1,000; 100 when left out. */
                limit?: number;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description keys, newest first */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["List_ApiKey"];
                };
            };
            /** @description no key, or none that is valid */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description the key's role, tenant or agent forbids it */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description any other error */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    keys_create: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["KeyRequest"];
            };
        };
        responses: {
            /** @description the key */
            201: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["NewApiKey"];
                };
            };
            /** @description no key, or none that is valid */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description the key's role, tenant or agent forbids it */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description any other error */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    keys_revoke: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description the key's identifier */
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description the key as revoked */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ApiKey"];
                };
            };
            /** @description no key, or none that is valid */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description the key's role, tenant or agent forbids it */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description any other error */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    kills_list: {
        parameters: {
            query?: {
                /** @description `next_cursor` of the previous page. */
                cursor?: string;
                /** @description `true`: only kills that are in force; else the whole history, with those that start later. */
                in_force?: boolean;
                /** @description Rows at most, 1 to 1,000; 100 when left out. */
                limit?: number;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description kills, newest first */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["List_Kill"];
                };
            };
            /** @description no key, or none that is valid */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description the key's role, tenant or agent forbids it */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description any other error */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    log_file: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description `checkpoint` or `tile/…` */
                path: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description the file */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/octet-stream": number[];
                };
            };
            /** @description no key, or none that is valid */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description the key's role, tenant or agent forbids it */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description the log has not grown so far */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description any other error */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    log_shard_file: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description name of the log */
                origin: string;
                /** @description `checkpoint` or `tile/…` */
                path: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description the file */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/octet-stream": number[];
                };
            };
            /** @description no key, or none that is valid */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description the key's role, tenant or agent forbids it */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description there is no such log, or it has not grown so far */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description any other error */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    manifests_list: {
        parameters: {
            query?: {
                /** @description `next_cursor` of the previous page. */
                cursor?: string;
                /** @description Manifests of this decision only. */
                decision_id?: string;
                /** @description Rows at most, 1 to 1,000; 100 when left out. */
                limit?: number;
                tenant?: string;
                tool?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description manifests, newest first */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["List_ManifestRecord"];
                };
            };
            /** @description no key, or none that is valid */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description the key's role, tenant or agent forbids it */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description any other error */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    manifests_get: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description the manifest */
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description the manifest */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ManifestRecord"];
                };
            };
            /** @description no key, or none that is valid */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description the key's role, tenant or agent forbids it */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description any other error */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    manifests_bundle: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description the manifest */
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description the bundle */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/vnd.dev.sigstore.bundle.v0.3+json": Record<string, never>;
                };
            };
            /** @description no key, or none that is valid */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description the key's role, tenant or agent forbids it */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description any other error */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    manifests_payload: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description the manifest */
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description the payload */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": unknown;
                };
            };
            /** @description no key, or none that is valid */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description the key's role, tenant or agent forbids it */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description any other error */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    manifests_salt: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description the manifest */
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description the salt */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Salt"];
                };
            };
            /** @description no key, or none that is valid */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description the key's role, tenant or agent forbids it */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description any other error */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    payload_keys_destroy: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["DestroyRequest"];
            };
        };
        responses: {
            /** @description destroyed */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["DestroyAnswer"];
                };
            };
            /** @description no key, or none that is valid */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description the key's role, tenant or agent forbids it */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description any other error */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    permits_redeem: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["RedeemRequest"];
            };
        };
        responses: {
            /** @description redeemed */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["RedeemAnswer"];
                };
            };
            /** @description no key, or none that is valid */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description the key's role, tenant or agent forbids it */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description any other error */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    permits_resume: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["ResumeRequest"];
            };
        };
        responses: {
            /** @description the call may go on */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ResumeAnswer"];
                };
            };
            /** @description no key, or none that is valid */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description the key's role, tenant or agent forbids it */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description any other error */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    opa_policies: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description the modules */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["OpaPolicies"];
                };
            };
            /** @description no key, or none that is valid */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description the key's role, tenant or agent forbids it */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description any other error */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    opa_policies_slash: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description the modules */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["OpaPolicies"];
                };
            };
            /** @description no key, or none that is valid */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description the key's role, tenant or agent forbids it */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description any other error */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    policy_status: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description the policy in force */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["PolicyStatus"];
                };
            };
            /** @description no key, or none that is valid */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description the key's role, tenant or agent forbids it */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description any other error */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    policy_changes: {
        parameters: {
            query?: {
                /** @description `next_cursor` of the previous page. */
                cursor?: string;
                /** @description Rows at most, 1 to 1,000; 100 when left out. */
                limit?: number;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description newest first */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["List_PolicyChange"];
                };
            };
            /** @description no key, or none that is valid */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description the key's role, tenant or agent forbids it */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description any other error */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    policy_data_all: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description one document */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["PolicyData"];
                };
            };
            /** @description no key, or none that is valid */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description the key's role, tenant or agent forbids it */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description any other error */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    policy_data_history: {
        parameters: {
            query?: {
                /** @description `next_cursor` of the previous page. */
                cursor?: string;
                /** @description Rows at most, 1 to 1,000; 100 when left out. */
                limit?: number;
                /** @description Only what touched this place, above it or below it; a JSON pointer: `/limits/search`. */
                path?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description newest first */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["List_PolicyDataChange"];
                };
            };
            /** @description no key, or none that is valid */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description the key's role, tenant or agent forbids it */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description any other error */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    policy_data_get: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description names, parted by `/`; a slash in one is `%2F` */
                path: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description what is stored there, and below it */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["PolicyData"];
                };
            };
            /** @description no key, or none that is valid */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description the key's role, tenant or agent forbids it */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description nothing was put there */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description any other error */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    policy_data_put: {
        parameters: {
            query?: {
                /** @description Why it is changed; kept in the history. */
                reason?: string;
            };
            header?: {
                /** @description an `ETag`, or `*`: something is there */
                "If-Match"?: string | null;
                /** @description `*`: nothing is there yet */
                "If-None-Match"?: string | null;
            };
            path: {
                /** @description names, parted by `/`; a slash in one is `%2F` */
                path: string;
            };
            cookie?: never;
        };
        /** @description any JSON value */
        requestBody: {
            content: {
                "application/json": unknown;
            };
        };
        responses: {
            /** @description what is stored there now */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["PolicyData"];
                };
            };
            /** @description no key, or none that is valid */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description the key's role, tenant or agent forbids it */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description the place belongs to the policy or is not below an object */
            409: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description something else is there */
            412: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description any other error */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    policy_data_delete: {
        parameters: {
            query?: {
                /** @description Why it is changed; kept in the history. */
                reason?: string;
            };
            header?: {
                /** @description an `ETag`, or `*`: something is there */
                "If-Match"?: string | null;
            };
            path: {
                /** @description names, parted by `/`; a slash in one is `%2F` */
                path: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description it is gone */
            204: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description no key, or none that is valid */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description the key's role, tenant or agent forbids it */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description nothing was put there */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description something else is there */
            412: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description any other error */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    policy_data_patch: {
        parameters: {
            query?: {
                /** @description Why it is changed; kept in the history. */
                reason?: string;
            };
            header?: {
                /** @description an `ETag`, or `*`: something is there */
                "If-Match"?: string | null;
            };
            path: {
                /** @description names, parted by `/`; a slash in one is `%2F` */
                path: string;
            };
            cookie?: never;
        };
        /** @description a JSON Patch */
        requestBody: {
            content: {
                /**
                 * @example [
                 *       {
                 *         "op": "add",
                 *         "path": "/search",
                 *         "value": 5
                 *       }
                 *     ]
                 */
                "application/json": Record<string, never>[];
            };
        };
        responses: {
            /** @description what is stored there now */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["PolicyData"];
                };
            };
            /** @description no key, or none that is valid */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description the key's role, tenant or agent forbids it */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description nothing was put there */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description the patch does not fit, or the place belongs to the policy */
            409: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description something else is there */
            412: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description any other error */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    policy_rollout_get: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description with counts and examples */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["PolicyRollouts"];
                };
            };
            /** @description no key, or none that is valid */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description the key's role, tenant or agent forbids it */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description any other error */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    policy_rollout_start: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["RolloutRequest"];
            };
        };
        responses: {
            /** @description the candidate is monitored */
            201: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["StartedRollout"];
                };
            };
            /** @description no key, or none that is valid */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description the key's role, tenant or agent forbids it */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description another one is monitored already */
            409: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description the candidate is refused; `detail` says why */
            422: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description any other error */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    policy_rollout_drop: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["RolloutStep"];
            };
        };
        responses: {
            /** @description it is over */
            204: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description no key, or none that is valid */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description the key's role, tenant or agent forbids it */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description there is no candidate */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description it is not the one that is meant */
            412: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description any other error */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    policy_rollout_promote: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["RolloutStep"];
            };
        };
        responses: {
            /** @description it decides */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["PolicyRollout"];
                };
            };
            /** @description no key, or none that is valid */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description the key's role, tenant or agent forbids it */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description none is monitored */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description it is not the one that is meant */
            412: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description any other error */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    policy_shadow: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description the comparison */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Shadow"];
                };
            };
            /** @description no key, or none that is valid */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description the key's role, tenant or agent forbids it */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description any other error */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    signing_keys: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description the keys */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["SigningKeys"];
                };
            };
            /** @description no key, or none that is valid */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description the key's role, tenant or agent forbids it */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description any other error */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    signing_key_retire: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["EndSigningKey"];
            };
        };
        responses: {
            /** @description the key */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["SigningKey"];
                };
            };
            /** @description no key, or none that is valid */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description the key's role, tenant or agent forbids it */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description any other error */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    signing_key_revoke: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["EndSigningKey"];
            };
        };
        responses: {
            /** @description the key */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["SigningKey"];
                };
            };
            /** @description no key, or none that is valid */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description the key's role, tenant or agent forbids it */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description any other error */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    public_key: {
        parameters: {
            query?: {
                /**
                 * @description The key that a bundle names by this hint (`SHA256:…`), once it is known that the trusted key
                 *     certified it.
                 */
                hint?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description the key */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/x-pem-file": string;
                };
            };
            /** @description no key, or none that is valid */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description the key's role, tenant or agent forbids it */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description no trusted key vouches for one with that hint */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description any other error */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    quotas_list: {
        parameters: {
            query?: {
                /** @description `next_cursor` of the previous page. */
                cursor?: string;
                /** @description Rows at most, 1 to 1,000; 100 when left out. */
                limit?: number;
                /** @description Quotas of this tenant only. */
                tenant?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description usage, by tenant and tool */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["List_QuotaUsage"];
                };
            };
            /** @description no key, or none that is valid */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description the key's role, tenant or agent forbids it */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description any other error */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    tenants_list: {
        parameters: {
            query?: {
                /** @description `next_cursor` of the previous page. */
                cursor?: string;
                /** @description Rows at most, 1 to 1,000; 100 when left out. */
                limit?: number;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description tenants, by slug */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["List_Tenant"];
                };
            };
            /** @description no key, or none that is valid */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description the key's role, tenant or agent forbids it */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description any other error */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    tenants_create: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["TenantRequest"];
            };
        };
        responses: {
            /** @description the tenant */
            201: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Tenant"];
                };
            };
            /** @description no key, or none that is valid */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description the key's role, tenant or agent forbids it */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description any other error */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    tombstones_list: {
        parameters: {
            query?: {
                tenant?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description tombstones, oldest first */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["List_Tombstone"];
                };
            };
            /** @description no key, or none that is valid */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description the key's role, tenant or agent forbids it */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description any other error */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    tombstones_bundle: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description the tombstone */
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description the bundle */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/vnd.dev.sigstore.bundle.v0.3+json": Record<string, never>;
                };
            };
            /** @description no key, or none that is valid */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description the key's role, tenant or agent forbids it */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description any other error */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    tools_list: {
        parameters: {
            query?: {
                /** @description `next_cursor` of the previous page. */
                cursor?: string;
                /** @description Rows at most, 1 to 1,000; 100 when left out. */
                limit?: number;
                /** @description Tools of this tenant only. */
                tenant?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description tools, oldest first */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["List_Tool"];
                };
            };
            /** @description no key, or none that is valid */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description the key's role, tenant or agent forbids it */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description any other error */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    tools_get: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description the tool */
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description the tool */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Tool"];
                };
            };
            /** @description no key, or none that is valid */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description the key's role, tenant or agent forbids it */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description any other error */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    tools_retire: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description the tool */
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description the tool as retired */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Tool"];
                };
            };
            /** @description no key, or none that is valid */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description the key's role, tenant or agent forbids it */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description any other error */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    tools_update: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description the tool */
                id: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["ToolChange"];
            };
        };
        responses: {
            /** @description the tool as changed */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Tool"];
                };
            };
            /** @description no key, or none that is valid */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description the key's role, tenant or agent forbids it */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description any other error */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    tools_approve: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description the tool */
                id: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["ReviewRequest"];
            };
        };
        responses: {
            /** @description what the tool is pinned to */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ToolDrift"];
                };
            };
            /** @description no key, or none that is valid */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description the key's role, tenant or agent forbids it */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description any other error */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    tools_drift: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description the tool */
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description both definitions */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ToolDrift"];
                };
            };
            /** @description no key, or none that is valid */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description the key's role, tenant or agent forbids it */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description `tool_not_pinned`: the tool is not of an upstream */
            409: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description any other error */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    tools_reject: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description the tool */
                id: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["ReviewRequest"];
            };
        };
        responses: {
            /** @description what the tool is pinned to */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ToolDrift"];
                };
            };
            /** @description no key, or none that is valid */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description the key's role, tenant or agent forbids it */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description any other error */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    tools_uncovered: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["UncoveredRequest"];
            };
        };
        responses: {
            /** @description recorded */
            201: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["UncoveredAnswer"];
                };
            };
            /** @description no key, or none that is valid */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description the key's role, tenant or agent forbids it */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description any other error */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    trusted_root: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description the trusted root */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/vnd.dev.sigstore.trustedroot+json;version=0.1": Record<string, never>;
                };
            };
            /** @description no key, or none that is valid */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description the key's role, tenant or agent forbids it */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description any other error */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    upstreams_list: {
        parameters: {
            query?: {
                /** @description `next_cursor` of the previous page. */
                cursor?: string;
                /** @description Rows at most, 1 to 1,000; 100 when left out. */
                limit?: number;
                /** @description Upstreams of this tenant only. */
                tenant?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description upstreams, oldest first */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["List_Upstream"];
                };
            };
            /** @description no key, or none that is valid */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description the key's role, tenant or agent forbids it */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description any other error */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    upstreams_create: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["UpstreamRequest"];
            };
        };
        responses: {
            /** @description the upstream */
            201: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Upstream"];
                };
            };
            /** @description no key, or none that is valid */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description the key's role, tenant or agent forbids it */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description any other error */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    upstreams_get: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description the upstream */
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description the upstream */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Upstream"];
                };
            };
            /** @description no key, or none that is valid */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description the key's role, tenant or agent forbids it */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description any other error */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    upstreams_remove: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description the upstream */
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description the upstream as it was */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Upstream"];
                };
            };
            /** @description no key, or none that is valid */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description the key's role, tenant or agent forbids it */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description any other error */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    upstreams_standing: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description name of the upstream */
                name: string;
                /** @description slug of the tenant */
                tenant: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["StandingRequest"];
            };
        };
        responses: {
            /** @description where each tool stands */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["StandingAnswer"];
                };
            };
            /** @description no key, or none that is valid */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description the key's role, tenant or agent forbids it */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description `upstream_not_wrapped`: the server connects to it itself */
            409: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description any other error */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    ws: {
        parameters: {
            query?: {
                /**
                 * @description `id` of the last event received, for clients that cannot send the header `Last-Event-ID`,
                 *     which counts when both are there.
                 */
                last_event_id?: string;
                /** @description Events wanted, such as `kill_switch.*,policy.check.deny`; all when left out. */
                types?: string;
            };
            header?: {
                /** @description `id` of the last event received */
                "Last-Event-ID"?: string | null;
            };
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description the connection is a WebSocket from here on; the schema is that of `data` of the event `sync` */
            101: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["SyncEvent"];
                };
            };
            /** @description no key, or none that is valid */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description the key's role, tenant or agent forbids it */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description the request is none for a WebSocket */
            426: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description any other error */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
}
