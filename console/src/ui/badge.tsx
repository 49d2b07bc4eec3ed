import type { ReactNode } from "react";
import { cn } from "./class-names";

const TONES = {
  neutral: "bg-raised text-muted",
  accent: "bg-accent-soft text-accent",
  allow: "bg-allow-soft text-allow",
  deny: "bg-deny-soft text-deny",
  warn: "bg-warn-soft text-warn",
  danger: "bg-danger text-danger-fg",
  hollow: "border border-line-strong/60 text-muted",
} as const;

export type Tone = keyof typeof TONES;

interface Props {
  tone?: Tone;
  className?: string;
  title?: string;
  children: ReactNode;
}

export function Badge({ tone = "neutral", className, title, children }: Props) {
  return (
    <span
      title={title}
      className={cn(
        "inline-flex h-5 max-w-full items-center gap-1 whitespace-nowrap rounded px-1.5 text-2xs font-medium [&_svg]:size-3 [&_svg]:shrink-0",
        TONES[tone],
        className,
      )}
    >
      {children}
    </span>
  );
}
