"""An MCP server on stdio that misbehaves on demand. Options: name=value, see below."""
import json, os, signal, subprocess, sys, threading, time

options = dict(argument.split("=", 1) for argument in sys.argv[1:])
era = options.get("era", "legacy")  # legacy, modern, both
log = open(options["log"], "a", buffering=1) if "log" in options else None
lock = threading.Lock()
answers = {}
greeted = None


def note(text):
    if log:
        log.write(text + "\n")


def send(message):
    with lock:
        sys.stdout.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
        sys.stdout.flush()


def raw(text):
    with lock:
        sys.stdout.write(text)
        sys.stdout.flush()


def reply(id, result):
    if greeted == "modern":
        result = {"resultType": "complete", **result}
    send({"id": id, "result": result})


def fail(id, code, message="no"):
    send({"id": id, "error": {"code": code, "message": message}})


def text(value, **more):
    return {"content": [{"type": "text", "text": value}], **more}


def call(id, name, arguments, meta):
    note(f"call {name}")
    if name == "echo":
        reply(id, text(json.dumps(arguments), echoed={"unknown": [1, {"kept": True}]}))
    elif name == "meta":
        reply(id, text(json.dumps(meta, sort_keys=True)))
    elif name == "sleep":
        time.sleep(arguments["seconds"])
        note("slept")
        reply(id, text("slept"))
    elif name == "progress":
        for step in range(3):
            token = meta.get("progressToken")
            send({"method": "notifications/progress", "params": {"progressToken": token, "progress": step}})
        reply(id, text("done"))
    elif name == "log":
        send({"method": "notifications/message", "params": {"level": "info", "data": "hello"}})
        reply(id, text("logged"))
    elif name == "ask":
        question = f"question-{id}"
        answers[question] = threading.Event()
        send({"id": question, "method": "elicitation/create", "params": {"message": "who?"}})
        answers[question].wait(10)
        reply(id, text(json.dumps(answers[question].outcome)))
    elif name == "ask_late":
        time.sleep(arguments["seconds"])
        question = f"question-{id}"
        answers[question] = threading.Event()
        send({"id": question, "method": "elicitation/create", "params": {"message": "who?"}})
        answers[question].wait(10)
        note("late " + json.dumps(answers[question].outcome))
        if arguments["reply"]:
            reply(id, text("late"))
    elif name == "forbidden":
        question = f"question-{id}"
        answers[question] = threading.Event()
        send({"id": question, "method": "tools/call", "params": {"name": "x"}})
        answers[question].wait(10)
        reply(id, text(json.dumps(answers[question].outcome)))
    elif name == "twice":
        reply(id, text("first"))
        reply(id, text("second"))
    elif name == "junk":
        raw("not json\n{\"jsonrpc\": \"2.0\"}\n[1]\n\n{\"jsonrpc\":\"2.0\",\"id\":true,\"method\":\"x\"}\n")
        raw('{"jsonrpc":"2.0","id":99,"method":"ping","method":"ping"}\n')
        reply(id, text("after junk"))
    elif name == "malformed":
        raw('{"jsonrpc":"2.0","id":%d,"result":{"a":1,"a":2}}\n' % id)
    elif name == "unasked":
        send({"id": 424242, "result": {}})
        send({"id": "x", "result": {}})
        reply(id, text("done"))
    elif name == "big":
        reply(id, text("x" * arguments["bytes"]))
    elif name == "exit":
        os._exit(3)
    elif name == "news":
        send({"method": "notifications/tools/list_changed"})
        send({"method": "notifications/secret/other"})
        reply(id, text("told"))
    elif name == "child":
        other = subprocess.Popen(["sleep", "300"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        reply(id, text(str(other.pid)))
    elif name == "pid":
        reply(id, text(str(os.getpid())))
    elif name == "environment":
        reply(id, text(json.dumps(dict(os.environ))))
    elif name == "stderr":
        sys.stderr.write("x" * 1_000_000 + "\nlast line\n")
        sys.stderr.flush()
        reply(id, text("written"))
    elif name == "input":
        send({"id": id, "result": {"resultType": "input_required", "inputRequests": {}, "requestState": "s"}})
    elif name == "task":
        send({"id": id, "result": {"resultType": "task", "taskId": "1"}})
    else:
        fail(id, -32602, "unknown tool")


def handle(message):
    global greeted
    id, method, params = message.get("id"), message.get("method"), message.get("params", {})
    if method is None:
        event = answers.get(id)
        if event:
            event.outcome = message.get("result", message.get("error"))
            event.set()
    elif method == "server/discover":
        note("discover")
        if options.get("discover") == "silent":
            return
        if options.get("discover") == "exit":
            os._exit(1)
        if era == "legacy":
            return fail(id, -32601)
        greeted = greeted or "modern"
        reply(id, {"supportedVersions": ["2026-07-28"], "ttlMs": 0, "cacheScope": "private",
                   "capabilities": {"tools": {"listChanged": True}, "resources": {"subscribe": True}},
                   "_meta": {"io.modelcontextprotocol/serverInfo": {"name": "fixture"}}})
    elif method == "initialize":
        note("initialize " + json.dumps(params["capabilities"], sort_keys=True))
        # The latch of real servers: a child that saw one era refuses the other.
        if era == "modern" or greeted == "modern":
            return fail(id, -32601)
        greeted = "legacy"
        version = options.get("version", params["protocolVersion"])
        reply(id, {"protocolVersion": version, "capabilities": {"tools": {}},
                   "serverInfo": {"name": "fixture"}, "instructions": "be careful"})
    elif method == "notifications/cancelled":
        note(f"cancelled")
    elif method == "logging/setLevel":
        note(f"level {params['level']}")
        reply(id, {})
    elif method == "tools/list":
        note("list")
        if options.get("list") == "silent":
            return
        reply(id, {"tools": [{"name": "echo", "inputSchema": {"type": "object"}}]})
    elif method == "tools/call":
        arguments = (id, params["name"], params.get("arguments", {}), params.get("_meta", {}))
        threading.Thread(target=call, args=arguments, daemon=True).start()
    elif method == "subscriptions/listen":
        note("listen " + json.dumps(params["notifications"], sort_keys=True))
        send({"method": "notifications/subscriptions/acknowledged", "params": params})
    elif id is not None:
        fail(id, -32601)


note(f"started {os.getpid()}")
if options.get("start") == "exit":
    sys.exit(1)
if options.get("terminate") == "ignore":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
raw("a banner that is not json\n" if options.get("banner") else "")
for line in sys.stdin:
    handle(json.loads(line))
note("stdin closed")
if options.get("terminate") == "ignore":
    time.sleep(300)
