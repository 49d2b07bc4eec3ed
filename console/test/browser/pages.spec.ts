import { accessible, expect, fitsNarrow, picture, test } from "./fixtures";

const FIXTURES = `${import.meta.dirname}/../fixtures`;

test("overview: rates, reasons and what stands, of which each leads on", async ({ visit, api }) => {
  const page = await visit("/");
  await expect(page.getByText("Decisions a second").first()).toBeVisible();
  await expect(page.getByRole("img", { name: /^Decisions a second: \d+ allowed/ })).toBeVisible();
  const denied = page.locator("dl > div", { hasText: "Denied" });
  const before = Number(
    (await denied.locator("dd > span").first().innerText()).replaceAll(",", ""),
  );
  await api.check("platform-eng", "langsmith-docs-search", { purpose: "marketing" });
  await expect
    .poll(async () =>
      Number((await denied.locator("dd > span").first().innerText()).replaceAll(",", "")),
    )
    .toBeGreaterThan(before);
  await expect(page.getByText("audit of the payment tools")).toBeVisible();
  await page.getByRole("radio", { name: "15 min" }).click();
  await expect(page).toHaveURL(/range=15m/);
  await accessible(page);
  await picture(page, "overview", "dark");
  await picture(page, "overview", "light");
  await page.getByRole("link", { name: "policy_denied" }).click();
  await expect(page).toHaveURL(/decisions\/\?range=15m&code=policy_denied/);
  await page.goBack();
  await fitsNarrow(page);
});

test("provenance: finds a manifest, verifies it, and downloads its bundle", async ({ visit }) => {
  const page = await visit("/provenance/", "auditor");
  await page.getByLabel("Search manifests").fill("documentation_lookup");
  await page
    .getByRole("row", { name: /langsmith-docs-search/ })
    .first()
    .click();
  const checks = page.getByRole("region", { name: "Verification" });
  await expect(checks.getByRole("status")).toHaveText("Verified");
  await expect(checks.getByRole("listitem").filter({ hasText: "inclusion" })).toContainText(
    "passed",
  );
  const download = page.waitForEvent("download");
  await page.getByRole("button", { name: "Bundle" }).click();
  const path = await (await download).path();
  await accessible(page);
  await picture(page, "provenance", "dark");
  // What was downloaded is verified in the browser, without the server's help.
  await page.getByRole("tab", { name: "Verify a file" }).click();
  await page.locator("input[type=file]").setInputFiles(path);
  await expect(checks.getByRole("status")).toHaveText("Verified");
  await picture(page, "verify", "dark");
  await page.getByRole("tab", { name: "Log and keys" }).click();
  await expect(page.getByText("log.localhost").first()).toBeVisible();
  await accessible(page);
  await fitsNarrow(page);
});

test("provenance: a bundle of another server is verified by files alone, or not at all", async ({
  visit,
}) => {
  const page = await visit("/provenance/?tab=file", "operator");
  const checks = page.getByRole("region", { name: "Verification" });
  await page.locator("input[type=file]").setInputFiles(`${FIXTURES}/bundle.json`);
  await expect(checks.getByRole("status")).toHaveText("Not verified");
  await expect(checks.getByRole("listitem").filter({ hasText: "signature" })).toContainText(
    "is not trusted",
  );
  await page
    .locator("input[type=file]")
    .setInputFiles([
      `${FIXTURES}/bundle.json`,
      `${FIXTURES}/trusted-root.json`,
      `${FIXTURES}/signer.pub.pem`,
      `${FIXTURES}/artifact`,
    ]);
  await expect(checks.getByRole("status")).toHaveText("Verified");
  await expect(
    checks.getByRole("listitem").filter({ hasText: "payload commitment" }),
  ).toContainText("passed");
  await accessible(page);
});

test("policies: an author reads the source in force", async ({ visit }) => {
  const page = await visit("/policies/", "author");
  await expect(page.getByRole("region", { name: "sentinel/policy.rego" })).toContainText(
    "package sentinel.policy",
  );
  await accessible(page);
  await picture(page, "policies", "dark");
});

test("policies: vetting shows the place, then a candidate is monitored and dropped", async ({
  visit,
  page,
}) => {
  await visit("/policies/?tab=rollout", "admin");
  const file = (body: string) => [
    {
      name: "policy.rego",
      mimeType: "text/plain",
      buffer: Buffer.from(
        `package sentinel.policy\n\ndefault decision := {"allow": false}\n\n${body}\n`,
      ),
    },
  ];
  await page
    .locator("input[type=file]")
    .setInputFiles(
      file('decision := {"allow": true} if {\n\tinput.tool == "x"\n\tinput.purposee == "y"\n}'),
    );
  await page.getByRole("button", { name: "Vet and monitor" }).click();
  await expect(page.getByText(/did you mean `input.purpose`/)).toBeVisible();
  await expect(page.getByRole("region", { name: "policy.rego, line 7" })).toContainText("^");
  await expect(page.getByText("monitored", { exact: true })).toBeVisible();
  await accessible(page);
  await page.getByRole("button", { name: "Drop" }).click();
  await page.getByRole("dialog").getByLabel("Reason").fill("a test");
  await page.getByRole("dialog").getByRole("button", { name: "Drop" }).click();
  await expect(page.getByRole("button", { name: "Vet and monitor" })).toBeVisible();
  await page.getByRole("tab", { name: "Changes" }).click();
  await expect(page.getByRole("row", { name: /rollout dropped/ }).first()).toContainText("a test");
  await page.getByRole("tab", { name: "Probe" }).click();
  await page.getByLabel("Tenant").fill("platform-eng");
  await page.getByLabel("Tool", { exact: true }).fill("langsmith-docs-search");
  await page.getByLabel("Purpose").fill("marketing");
  await page.getByRole("button", { name: "Ask" }).click();
  await expect(page.getByRole("region", { name: "Outcome" })).toContainText(
    "the tool may not be used for this purpose",
  );
  await fitsNarrow(page);
});

test.describe("policies that are refused", () => {
  test.use({ tolerates: /Failed to load resource: .*422/ });

  test("are shown with the line and a caret", async ({ visit, page }) => {
    await visit("/policies/?tab=rollout", "admin");
    await page.locator("input[type=file]").setInputFiles([
      {
        name: "policy.rego",
        mimeType: "text/plain",
        buffer: Buffer.from(
          "package sentinel.policy\n\ndefault allow := false\n\nallow if {\n\tinput.tool == foo\n}\n",
        ),
      },
    ]);
    await page.getByRole("button", { name: "Vet and monitor" }).click();
    await expect(page.getByRole("region", { name: "policy.rego, line 6" })).toContainText(
      "input.tool == foo",
    );
    await picture(page, "finding", "dark");
  });
});

test("quotas: what is used, and when it is used up", async ({ visit }) => {
  const page = await visit("/quotas/", "operator");
  const row = page.getByRole("row", { name: /platform-eng\/langsmith-docs-search/ });
  await expect(row).toContainText("1,000");
  await expect(row.getByRole("meter")).toHaveAttribute("aria-valuenow", /\d+/);
  await accessible(page);
  await picture(page, "quotas", "dark");
  await fitsNarrow(page);
});

test("access: a key is made, shown once, and revoked", async ({ visit }) => {
  const page = await visit("/access/");
  await page.getByRole("button", { name: "Make a key" }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByLabel("Name").fill("pipeline");
  await dialog.getByLabel("Role").selectOption("auditor");
  await dialog.getByLabel("Tenant").selectOption("finops");
  await dialog.getByRole("button", { name: "Make the key" }).click();
  await expect(dialog.getByText(/^snt_auditor_/)).toBeVisible();
  await accessible(page);
  await page.keyboard.press("Escape");
  await expect(dialog).toBeVisible();
  await dialog.getByLabel("I have put it where it is needed").check();
  await dialog.getByRole("button", { name: "Done" }).click();
  await expect(page.locator("body")).not.toContainText("snt_auditor_");
  const row = page.getByRole("row", { name: /pipeline/ });
  await expect(row).toContainText("finops");
  await picture(page, "access", "dark");
  await row.getByRole("button", { name: "Revoke" }).click();
  await dialog.getByLabel("Confirmation").fill("pipeline");
  await dialog.getByRole("button", { name: "Revoke" }).click();
  await expect(row).toBeHidden();
  await page.getByRole("tab", { name: "Roles" }).click();
  await expect(page.getByRole("row", { name: /^Kill/ })).toBeVisible();
  await accessible(page);
  await page.getByRole("tab", { name: "Tenants" }).click();
  await page.getByRole("button", { name: "Create a tenant" }).click();
  await dialog.getByLabel("Slug").fill("acme-console");
  await dialog.getByRole("button", { name: "Create" }).click();
  await expect(page.getByRole("row", { name: /acme-console/ })).toBeVisible();
  await fitsNarrow(page);
});

test("upstreams: state, tools and defects of one, and its end", async ({ visit, api }) => {
  await api.tool("ups-a", "placeholder");
  const page = await visit("/upstreams/");
  await page.getByRole("row", { name: /platform-eng\/files/ }).click();
  await expect(page.getByRole("link", { name: "files__search" })).toBeVisible();
  await accessible(page);
  await picture(page, "upstreams", "dark");
  await page.getByRole("button", { name: "Close" }).click();
  await page.getByRole("button", { name: "Add" }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByLabel("Tenant").fill("ups-a");
  await dialog.getByLabel("Name").fill("remote");
  await dialog.getByLabel("Address").fill("https://mcp.example.com/mcp");
  await dialog.getByRole("button", { name: "Add" }).click();
  const row = page.getByRole("row", { name: /ups-a\/remote/ });
  await row.click();
  await page.getByLabel("Remove it").fill("remote");
  await page.getByRole("button", { name: "Remove the upstream" }).click();
  await expect(row).toBeHidden();
  await fitsNarrow(page);
});

test("audit: who changed what, as it happens", async ({ visit, api }) => {
  const page = await visit("/audit/");
  await expect(page.getByRole("row", { name: /policy activated/ }).first()).toBeVisible();
  await api.tool("audit-a", "search");
  await expect(
    page.getByRole("row", { name: /tool registered/ }).filter({ hasText: "audit-a" }),
  ).toBeVisible();
  await expect(page.getByRole("row", { name: /audit of the payment tools/ })).toBeVisible();
  await accessible(page);
  await picture(page, "audit", "dark");
  await fitsNarrow(page);
});

test("an operator is told which pages need another key", async ({ visit }) => {
  const page = await visit("/provenance/?tab=manifests", "operator");
  await expect(page.getByText("Your key does not permit this")).toBeVisible();
  await page.getByRole("link", { name: "Policies" }).click();
  await expect(page.getByText(/author, auditor or admin/)).toBeVisible();
  await page.getByRole("link", { name: "Access" }).click();
  await expect(page.getByText(/with the role admin/)).toBeVisible();
});
