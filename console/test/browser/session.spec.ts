import { accessible, expect, fitsNarrow, live, picture, test } from "./fixtures";

test("signs in with a pasted key, forgets it on reload, and keeps it only when asked", async ({
  page,
  origin,
  api,
  watch,
}) => {
  watch(page);
  await page.goto(origin);
  await expect(page.getByRole("button", { name: "Sign in" })).toBeDisabled();
  await accessible(page);
  await picture(page, "sign-in", "dark");
  await page.getByLabel("API key").fill(api.keys.operator);
  await page.keyboard.press("Enter");
  await expect(live(page)).toHaveText(/^Live/);
  expect(
    await page.evaluate(() =>
      JSON.stringify([{ ...sessionStorage }, { ...localStorage }, document.cookie]),
    ),
  ).not.toContain("snt_");
  await page.reload();
  await page.getByLabel("API key").fill(api.keys.operator);
  await page.getByLabel("Keep it until this tab is closed").check();
  await page.getByRole("button", { name: "Sign in" }).click();
  await expect(live(page)).toHaveText(/^Live/);
  await page.reload();
  await expect(live(page)).toHaveText(/^Live/);
  await page.getByRole("button", { name: /^Account/ }).click();
  await page.getByRole("button", { name: "Dark theme" }).click();
  await expect(page.locator("html")).toHaveAttribute("data-theme", "dark");
  await page.reload();
  await expect(page.locator("html")).toHaveAttribute("data-theme", "dark");
  await page.getByRole("button", { name: /^Account/ }).click();
  await page.getByRole("button", { name: "Sign out" }).click();
  await expect(page.getByText("You are signed out.")).toBeVisible();
  expect(await page.evaluate(() => sessionStorage.length)).toBe(0);
  await fitsNarrow(page);
});

test.describe("with a key that does not hold", () => {
  test.use({ tolerates: /Failed to load resource: .*401|WebSocket/ });

  test("says so, and lets nobody in", async ({ page, origin, watch }) => {
    watch(page);
    await page.goto(origin);
    await page.getByLabel("API key").fill("snt_admin_wrong");
    await page.getByRole("button", { name: "Sign in" }).click();
    await expect(page.getByRole("alert").first()).toBeVisible();
    await expect(page.getByRole("navigation")).toBeHidden();
  });

  test("a key that is revoked ends the session everywhere it is used", async ({
    page,
    origin,
    api,
    watch,
  }) => {
    watch(page);
    const made = await api.call<{ id: string; secret: string }>("admin", "POST", "/v1/keys", {
      name: "short-lived",
      role: "operator",
    });
    await page.addInitScript((key) => sessionStorage.setItem("sentinel.key", key), made.secret);
    await page.goto(`${origin}/tools/`);
    await expect(live(page)).toHaveText(/^Live/);
    await api.call("admin", "DELETE", `/v1/keys/${made.id}`);
    await expect(page.getByText("Your key is no longer accepted")).toBeVisible();
    await expect(page.getByRole("navigation")).toBeHidden();
  });
});

test("keyboard reaches every page, and each has a name", async ({ visit }) => {
  const page = await visit("/kills/");
  for (const [key, name] of [
    ["d", "Decisions"],
    ["t", "Tools"],
    ["q", "Quotas"],
    ["o", "Overview"],
  ] as const) {
    await page.keyboard.press("g");
    await page.keyboard.press(key);
    await expect(page.getByRole("heading", { level: 1 })).toHaveText(name);
  }
  await page.keyboard.press("?");
  await expect(page.getByRole("dialog", { name: "Keyboard" })).toBeVisible();
});
