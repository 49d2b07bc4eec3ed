import { defineConfig } from "@playwright/test";

export default defineConfig({
  testDir: "test/browser",
  globalSetup: "./test/browser/setup.ts",
  outputDir: "test-results",
  // Two cores, shared with the server.
  workers: 2,
  fullyParallel: false,
  // On a busy machine a test takes many times as long as on a quiet one.
  timeout: 150_000,
  expect: { timeout: 25_000 },
  reporter: [["list"]],
  use: {
    browserName: "chromium",
    launchOptions: {
      executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
      args: ["--no-sandbox"],
    },
    viewport: { width: 1440, height: 900 },
    locale: "en-GB",
    timezoneId: "UTC",
    trace: "off",
  },
});
