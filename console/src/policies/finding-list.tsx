import { TriangleAlert } from "lucide-react";
import { cn } from "@/ui/class-names";
import { excerptOf, findingsIn, sourceOf } from "./findings";

interface Props {
  texts: readonly string[];
  sources: Readonly<Record<string, string>>;
  tone: "deny" | "warn";
}

/** What vetting found, each with its source and a caret where the source is at hand. */
export function FindingList({ texts, sources, tone }: Props) {
  return (
    <ul className="flex flex-col gap-2">
      {texts.map((text) => {
        const findings = findingsIn(text);
        return (
          <li
            key={text}
            className={cn(
              "rounded-md px-3 py-2",
              tone === "deny" ? "bg-deny-soft" : "bg-warn-soft",
            )}
          >
            <p
              className={cn(
                "flex gap-2 break-words font-medium",
                tone === "deny" ? "text-deny" : "text-warn",
              )}
            >
              <TriangleAlert aria-hidden className="mt-0.5 size-4 shrink-0" />
              <span className="min-w-0">{text}</span>
            </p>
            {findings.map((finding) => {
              const excerpt = excerptOf(finding, sourceOf(finding.file, sources));
              if (!excerpt) return null;
              return (
                <section
                  key={`${finding.line}:${finding.column}`}
                  tabIndex={0}
                  aria-label={`${finding.file}, line ${finding.line}`}
                  className="mt-2 overflow-x-auto rounded border bg-raised"
                >
                  <pre className="w-max min-w-full p-2 font-mono text-xs">
                    {excerpt.lines.map(({ number, text: line }) => (
                      <div key={number}>
                        <span className="mr-3 inline-block w-6 text-right text-faint">
                          {number}
                        </span>
                        {line}
                      </div>
                    ))}
                    <div className="font-bold text-deny">
                      <span className="mr-3 inline-block w-6" />
                      {excerpt.pad}^
                    </div>
                  </pre>
                </section>
              );
            })}
          </li>
        );
      })}
    </ul>
  );
}
