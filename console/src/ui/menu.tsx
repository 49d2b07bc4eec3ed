"use client";

import {
  createContext,
  type ReactNode,
  useContext,
  useEffect,
  useId,
  useRef,
  useState,
} from "react";
import { Button } from "./button";
import { cn } from "./class-names";

const Close = createContext<() => void>(() => {});

interface Props {
  label: string;
  /** What is on the button. */
  face: ReactNode;
  kind?: "ghost" | "secondary";
  size?: "md" | "sm";
  children: ReactNode;
}

/** A button that shows a list of buttons: reached by Tab, closed by Escape or by going elsewhere. */
export function Menu({ label, face, kind = "secondary", size = "md", children }: Props) {
  const [open, setOpen] = useState(false);
  const id = useId();
  const root = useRef<HTMLDivElement>(null);
  const button = useRef<HTMLButtonElement>(null);
  useEffect(() => {
    if (!open) return;
    const outside = (event: PointerEvent | FocusEvent) => {
      if (event.target instanceof Node && !root.current?.contains(event.target)) setOpen(false);
    };
    const pressed = (event: KeyboardEvent) => {
      if (event.key !== "Escape") return;
      event.preventDefault();
      setOpen(false);
      button.current?.focus();
    };
    document.addEventListener("pointerdown", outside);
    document.addEventListener("focusin", outside);
    document.addEventListener("keydown", pressed);
    return () => {
      document.removeEventListener("pointerdown", outside);
      document.removeEventListener("focusin", outside);
      document.removeEventListener("keydown", pressed);
    };
  }, [open]);
  return (
    <div ref={root} className="relative">
      <Button
        ref={button}
        kind={kind}
        size={size}
        aria-label={label}
        aria-expanded={open}
        aria-controls={open ? id : undefined}
        onClick={() => setOpen(!open)}
      >
        {face}
      </Button>
      {open && (
        <div
          id={id}
          className="absolute right-0 top-full z-30 mt-1 max-h-[70vh] min-w-52 overflow-y-auto rounded-md border bg-panel p-1 shadow-pop"
        >
          <Close value={() => setOpen(false)}>{children}</Close>
        </div>
      )}
    </div>
  );
}

interface ItemProps {
  onSelect(): void;
  danger?: boolean;
  disabled?: boolean;
  children: ReactNode;
}

export function MenuItem({ onSelect, danger, disabled, children }: ItemProps) {
  const close = useContext(Close);
  return (
    <button
      type="button"
      disabled={disabled}
      onClick={() => {
        close();
        onSelect();
      }}
      className={cn(
        "flex h-8 w-full items-center gap-2 whitespace-nowrap rounded px-2 text-left hover:bg-hover disabled:opacity-50 [&_svg]:size-4",
        danger && "text-deny",
      )}
    >
      {children}
    </button>
  );
}

export function MenuLabel({ children }: { children: ReactNode }) {
  return <p className="px-2 py-1 text-xs text-faint">{children}</p>;
}

export function MenuRule() {
  return <hr className="my-1 border-line" />;
}
