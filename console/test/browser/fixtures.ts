import { AxeBuilder } from "@axe-core/playwright";
import { test as base, expect, type Page } from "@playwright/test";
import { Interface, type Role } from "./interface";

interface Options {
  /** What the console may complain of in a test that breaks something on purpose. */
  tolerates: RegExp | null;
}

interface Fixtures {
  origin: string;
  api: Interface;
  /** Opens a page of the console as a role, and waits until it is live. */
  visit(path: string, role?: Role): Promise<Page>;
  /** Watches a page for errors, refused content and foreign requests. */
  watch(page: Page): void;
}

export const test = base.extend<Options & Fixtures>({
  tolerates: [null, { option: true }],
  // biome-ignore lint/correctness/noEmptyPattern: Playwright demands an object pattern
  origin: async ({}, use) => use(process.env.CONSOLE_ORIGIN ?? ""),
  api: async ({ origin }, use) =>
    use(new Interface(origin, JSON.parse(process.env.CONSOLE_KEYS ?? "{}"))),
  watch: async ({ origin, tolerates }, use) => {
    const complaints: string[] = [];
    await use((page) => {
      page.on("console", (message) => {
        if (["error", "warning"].includes(message.type()))
          complaints.push(`${message.text()} ${message.location().url}`);
      });
      page.on("pageerror", (error) => complaints.push(String(error)));
      page.on("request", (request) => {
        const url = request.url();
        const own =
          url.startsWith(`${origin}/`) || url.startsWith("blob:") || url.startsWith("data:");
        if (!own) complaints.push(`foreign request: ${url}`);
      });
    });
    expect(complaints.filter((complaint) => !tolerates?.test(complaint))).toEqual([]);
  },
  visit: async ({ page, origin, api, watch }, use) => {
    watch(page);
    await use(async (path, role = "admin") => {
      await signIn(page, api.keys[role]);
      await page.goto(origin + path);
      if (role !== "author") await expect(live(page)).toHaveText(/^Live/);
      return page;
    });
  },
});

export { expect };

/** Signs in without the form, which has its own test. */
export async function signIn(page: Page, key: string): Promise<void> {
  await page.addInitScript((kept) => sessionStorage.setItem("sentinel.key", kept), key);
}

export function live(page: Page) {
  return page.getByRole("status", { name: /^Live updates/ });
}

/** Fails on anything that axe calls serious or critical, in both themes. */
export async function accessible(page: Page): Promise<void> {
  for (const theme of ["dark", "light"]) {
    await page.evaluate((name) => {
      document.documentElement.dataset.theme = name;
    }, theme);
    // Colours change over a moment, and axe reads what is painted.
    await page.waitForTimeout(250);
    const { violations } = await new AxeBuilder({ page })
      .withTags(["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"])
      .analyze();
    const grave = violations.filter(({ impact }) => impact === "serious" || impact === "critical");
    expect(
      grave.map(
        ({ id, nodes }) => `${theme}: ${id}: ${nodes[0]?.html} ${nodes[0]?.failureSummary}`,
      ),
    ).toEqual([]);
  }
}

/** Nothing is wider than a telephone. */
export async function fitsNarrow(page: Page): Promise<void> {
  await page.setViewportSize({ width: 390, height: 844 });
  await expect
    .poll(() => page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth))
    .toBeLessThanOrEqual(0);
  if ((await page.locator("#main").count()) === 0) return;
  const main = await page.locator("#main").evaluate((node) => node.scrollWidth - node.clientWidth);
  expect(main).toBeLessThanOrEqual(0);
}

const IMAGES = `${import.meta.dirname}/../../../docs/images`;

/** A picture for the documentation, in the theme that is named. */
export async function picture(page: Page, name: string, theme: "dark" | "light"): Promise<void> {
  if (!process.env.CONSOLE_PICTURES) return;
  await page.evaluate((value) => {
    document.documentElement.dataset.theme = value;
  }, theme);
  await page.waitForTimeout(400);
  await page.screenshot({ path: `${IMAGES}/console-${name}-${theme}.png` });
}
