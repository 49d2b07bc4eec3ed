"use client";

/** Shown when the console itself fails. It claims nothing about any tool or kill. */
export default function GlobalError({ reset }: { reset: () => void }) {
  return (
    <html lang="en">
      <body>
        <main>
          <h1>The console failed</h1>
          <p>What it showed before may be out of date. Kills and policies are not affected.</p>
          <button type="button" onClick={reset}>
            Start again
          </button>
        </main>
      </body>
    </html>
  );
}
