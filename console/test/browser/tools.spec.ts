import { accessible, expect, fitsNarrow, picture, test } from "./fixtures";

test("finds a tool, filters in the address, and kills it from there", async ({ visit }) => {
  const page = await visit("/tools/");
  await expect(page.getByRole("row", { name: /secops\/incident-response-runbook/ })).toContainText(
    "active",
  );
  await page.getByLabel("Search tools").fill("ledger:write");
  await expect(page.getByRole("row", { name: /finance-ledger-writer/ })).toBeVisible();
  await expect(page.getByRole("row", { name: /incident-response/ })).toBeHidden();
  await expect(page).toHaveURL(/q=ledger%3Awrite/);
  await page.reload();
  await page.getByRole("row", { name: /finance-ledger-writer/ }).click();
  await page.getByRole("tab", { name: "Decisions" }).click();
  await expect(page.getByRole("complementary").getByRole("listitem").first()).toContainText("deny");
  await page.getByRole("complementary").getByRole("button", { name: "Kill" }).click();
  await expect(page).toHaveURL(/kills\/\?scope=tool&tenant=finops&tool=finance-ledger-writer/);
});

test("registers, edits and retires a tool", async ({ visit }) => {
  const page = await visit("/tools/");
  await page.getByRole("button", { name: "Register" }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByLabel("Tenant").fill("tools-a");
  await dialog.getByLabel("Name").fill("web-search");
  await dialog.getByLabel("Address").fill("https://search.example/mcp");
  await dialog.getByLabel("Owner").fill("search@example.com");
  await dialog.getByLabel("Metadata").fill("[1]");
  await expect(dialog.getByText("This is not a JSON object.")).toBeVisible();
  await expect(dialog.getByRole("button", { name: "Register" })).toBeDisabled();
  await dialog.getByLabel("Metadata").fill('{"tags": ["web"]}');
  await dialog.getByRole("button", { name: "Register" }).click();
  const detail = page.getByRole("complementary", { name: "tools-a/web-search" });
  await expect(detail).toContainText("search@example.com");
  await detail.getByRole("button", { name: "Edit" }).click();
  await page.getByRole("dialog").getByLabel("Scopes").fill("web:read web:read, web:write");
  await page.getByRole("dialog").getByRole("button", { name: "Save" }).click();
  await expect(detail).toContainText("web:write");
  await detail.getByRole("button", { name: "Retire" }).click();
  await page.getByRole("dialog").getByLabel("Confirmation").fill("tools-a/web-search");
  await page.getByRole("dialog").getByRole("button", { name: "Retire" }).click();
  await expect(page.getByRole("row", { name: /tools-a\/web-search/ })).toBeHidden();
  await page.goto(page.url().replace(/\?.*/, "?state=retired"));
  await expect(page.getByRole("row", { name: /tools-a\/web-search/ })).toContainText("retired");
});

test("shows what changed in a definition, and approves exactly that", async ({ visit }) => {
  const page = await visit("/tools/?state=quarantined", "operator");
  await expect(page.getByRole("row", { name: /files__read_file/ })).toContainText("quarantined");
  await page.getByRole("row", { name: /files__read_file/ }).click();
  await page.getByRole("tab", { name: /Definition/ }).click();
  await expect(page.getByRole("region", { name: /Difference/ })).toContainText("id_ed25519");
  await accessible(page);
  await picture(page, "tools", "dark");
  await picture(page, "tools", "light");
  await expect(page.getByRole("button", { name: "Register" })).toBeHidden();
  const approval = page.waitForRequest(/\/approve$/);
  await page.getByRole("button", { name: "Approve what is offered" }).click();
  expect((await approval).postDataJSON().digest).toMatch(/^[0-9a-f:sha]{40,}/);
  await expect(page.getByRole("row", { name: /files__read_file/ })).toBeHidden();
});

test("is used on a narrow screen, and shows nothing as active while disconnected", async ({
  visit,
}) => {
  const page = await visit("/tools/?tenant=support");
  const row = page.getByRole("row", { name: /customer-profile-api/ });
  await expect(row).toContainText("active");
  await page.context().setOffline(true);
  await expect(row).toContainText("not confirmed");
  await page.context().setOffline(false);
  await expect(row).toContainText("active");
  await fitsNarrow(page);
  await row.click();
  await expect(
    page.getByRole("complementary", { name: "support/customer-profile-api" }),
  ).toBeVisible();
  await fitsNarrow(page);
});

test.describe("when something fails", () => {
  test.use({ tolerates: /Failed to load resource/ });

  test("shows an error in place of the tools", async ({ visit, page }) => {
    await page.route("**/v1/tools?*", (route) => {
      if (new URL(route.request().url()).searchParams.get("limit") === "1") return route.continue();
      return route.fulfill({ status: 500, body: "no json" });
    });
    await visit("/tools/");
    await expect(page.getByText("The tools could not be read")).toBeVisible();
  });
});
