import { Check, CircleDashed, ShieldAlert, ShieldCheck, X } from "lucide-react";
import { cn } from "@/ui/class-names";

interface Shown {
  name: string;
  outcome: string;
  detail: string;
}

const MARKS: Record<string, [icon: typeof Check, color: string]> = {
  passed: [Check, "text-allow"],
  skipped: [CircleDashed, "text-faint"],
};

/** Anything that is neither passed nor skipped is shown as failed. */
export function CheckList({ verified, checks }: { verified: boolean; checks: readonly Shown[] }) {
  const Icon = verified ? ShieldCheck : ShieldAlert;
  return (
    <section aria-label="Verification" className="rounded-md border">
      <p
        role="status"
        className={cn(
          "flex items-center gap-2 border-b px-3 py-2 font-medium",
          verified ? "text-allow" : "text-deny",
        )}
      >
        <Icon aria-hidden className="size-5" />
        {verified ? "Verified" : "Not verified"}
      </p>
      <ul>
        {checks.map(({ name, outcome, detail }) => {
          const [Mark, color] = MARKS[outcome] ?? [X, "text-deny"];
          return (
            <li key={name} className="flex items-start gap-2 border-b px-3 py-1.5 last:border-0">
              <Mark aria-hidden className={cn("mt-0.5 size-4 shrink-0", color)} />
              <span className="w-36 shrink-0 font-medium">{name.replaceAll("_", " ")}</span>
              <span className="min-w-0 flex-1 break-words text-muted">{detail}</span>
              <span className={cn("shrink-0 text-xs", color)}>{outcome}</span>
            </li>
          );
        })}
      </ul>
    </section>
  );
}
