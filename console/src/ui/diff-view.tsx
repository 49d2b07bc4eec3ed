import { cn } from "./class-names";
import { type DiffLine, diffLines } from "./diff";

const LOOKS: Record<DiffLine["sign"], string> = {
  " ": "text-muted",
  "-": "bg-deny-soft text-deny",
  "+": "bg-allow-soft text-allow",
};

/** What one text has that the other has not. Lines are wrapped: what is changed is never out of sight. */
export function DiffView({
  before,
  after,
  label,
}: {
  before: string;
  after: string;
  label: string;
}) {
  const lines = diffLines(before, after);
  return (
    <section
      tabIndex={0}
      aria-label={label}
      className="max-h-[28rem] overflow-auto rounded-md border bg-raised"
    >
      <pre className="whitespace-pre-wrap break-words py-1.5 font-mono text-xs">
        {lines.map(({ sign, text }, index) => (
          // biome-ignore lint/suspicious/noArrayIndexKey: a line is its place
          <div key={index} className={cn("pl-6 pr-2.5 -indent-4", LOOKS[sign])}>
            {`${sign} ${text}`}
          </div>
        ))}
      </pre>
    </section>
  );
}
