import { seed } from "./seed";
import { start } from "./server";

/** One server for all tests; each works on a tenant of its own. */
export default async function setup(): Promise<() => Promise<void>> {
  const mcp = `${import.meta.dirname}/../mcp-server.mjs`;
  const running = await start(["--allow-command", `${process.execPath} ${mcp} *`]);
  process.env.CONSOLE_ORIGIN = running.origin;
  process.env.CONSOLE_KEYS = JSON.stringify(running.keys);
  try {
    await seed(running.origin, running.keys, mcp);
  } catch (error) {
    await running.stop();
    throw error;
  }
  return () => running.stop();
}
