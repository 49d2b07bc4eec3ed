"use client";

import { X } from "lucide-react";
import { Dialog as Radix } from "radix-ui";
import type { ReactNode } from "react";
import { Button } from "./button";
import { cn } from "./class-names";

interface Props {
  open: boolean;
  onOpenChange(open: boolean): void;
  title: string;
  description?: ReactNode;
  /** `side`: at the right edge, as high as the window. */
  shape?: "center" | "side";
  className?: string;
  children: ReactNode;
}

const SHAPES = {
  center:
    "left-1/2 top-[8vh] max-h-[84vh] w-[min(36rem,calc(100vw-1.5rem))] -translate-x-1/2 rounded-lg",
  side: "right-0 top-0 h-dvh w-[min(44rem,100vw)]",
};

export function Dialog({
  open,
  onOpenChange,
  title,
  description,
  shape = "center",
  className,
  children,
}: Props) {
  return (
    <Radix.Root open={open} onOpenChange={onOpenChange}>
      <Radix.Portal>
        <Radix.Overlay className="fixed inset-0 z-40 bg-black/55" />
        <Radix.Content
          className={cn(
            "fixed z-50 flex flex-col border bg-panel shadow-pop",
            SHAPES[shape],
            className,
          )}
          {...(description ? {} : { "aria-describedby": undefined })}
        >
          <header className="flex items-start gap-3 border-b px-4 py-3">
            <div className="min-w-0">
              <Radix.Title className="truncate text-base font-semibold">{title}</Radix.Title>
              {description && (
                <Radix.Description asChild>
                  <div className="mt-0.5 text-muted">{description}</div>
                </Radix.Description>
              )}
            </div>
            <Radix.Close asChild>
              <Button kind="ghost" size="icon" className="-mr-1.5 ml-auto" aria-label="Close">
                <X aria-hidden />
              </Button>
            </Radix.Close>
          </header>
          <div className="min-h-0 flex-1 overflow-y-auto p-4">{children}</div>
        </Radix.Content>
      </Radix.Portal>
    </Radix.Root>
  );
}
