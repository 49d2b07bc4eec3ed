import type { ReactNode } from "react";
import { cn } from "./class-names";
import { CopyButton } from "./copy";

interface Props {
  text: string;
  label: string;
  size?: "usual" | "tall";
  children?: ReactNode;
}

/** Text of a program, with a way to copy it. */
export function Code({ text, label, size = "usual", children }: Props) {
  return (
    <div className="relative min-w-0 rounded-md border bg-raised">
      <div className="absolute right-3 top-1 rounded bg-raised">
        <CopyButton text={text} label={`Copy ${label}`} />
      </div>
      <section
        tabIndex={0}
        aria-label={label}
        className={cn("overflow-auto", size === "tall" ? "max-h-[70vh]" : "max-h-96")}
      >
        <pre className="w-max min-w-full p-2.5 pr-9 font-mono text-xs">{children ?? text}</pre>
      </section>
    </div>
  );
}

export function Json({ value, label }: { value: unknown; label: string }) {
  return <Code text={JSON.stringify(value, null, 2)} label={label} />;
}
