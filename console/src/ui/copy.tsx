"use client";

import { Check, Copy } from "lucide-react";
import { useState } from "react";
import { Button } from "./button";
import { notify } from "./toast";

async function copyText(text: string): Promise<void> {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    notify({ tone: "deny", title: "Nothing was copied", detail: "The browser did not permit it." });
    throw new Error("not copied");
  }
}

interface Props {
  text: string;
  label: string;
  /** Shown beside the icon; without it only the icon is. */
  children?: string;
}

export function CopyButton({ text, label, children }: Props) {
  const [copied, setCopied] = useState(false);
  const copy = () =>
    copyText(text).then(
      () => {
        setCopied(true);
        setTimeout(setCopied, 1500, false);
      },
      () => {},
    );
  const Icon = copied ? Check : Copy;
  return (
    <Button
      kind={children ? "secondary" : "ghost"}
      size={children ? "sm" : "tiny"}
      aria-label={children ? undefined : label}
      title={label}
      onClick={copy}
    >
      <Icon aria-hidden className={copied ? "text-allow" : undefined} />
      {children && (copied ? "Copied" : children)}
    </Button>
  );
}

/** An identifier: readable, short where it must be, and copied with one click. */
export function Id({ value, short }: { value: string; short?: boolean }) {
  return (
    <span className="inline-flex max-w-full items-center gap-0.5">
      <code className="truncate font-mono text-xs" title={value}>
        {short && value.length > 16 ? `${value.slice(0, 8)}…${value.slice(-4)}` : value}
      </code>
      <CopyButton text={value} label={`Copy ${value}`} />
    </span>
  );
}
