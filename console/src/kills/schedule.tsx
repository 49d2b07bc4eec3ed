"use client";

import { Choice } from "@/ui/choice";
import { Field, Input } from "@/ui/field";
import type { Times } from "./target";

export interface Schedule {
  start: "now" | "at";
  /** As `datetime-local` has it: in the viewer's zone. */
  startAt: string;
  end: "never" | "1" | "4" | "24" | "at";
  endAt: string;
}

export const WITHOUT_SCHEDULE: Schedule = { start: "now", startAt: "", end: "never", endAt: "" };

const HOUR_MS = 3_600_000;

/** The times of the schedule, or what is wrong with it. */
export function timesOf(schedule: Schedule, now: Date): Times | { error: string } {
  const startsAt = schedule.start === "at" ? new Date(schedule.startAt) : null;
  if (startsAt && Number.isNaN(startsAt.getTime())) return { error: "Say when it starts." };
  const from = startsAt ?? now;
  let expiresAt: Date | null = null;
  if (schedule.end === "at") expiresAt = new Date(schedule.endAt);
  else if (schedule.end !== "never")
    expiresAt = new Date(from.getTime() + Number(schedule.end) * HOUR_MS);
  if (expiresAt && Number.isNaN(expiresAt.getTime())) return { error: "Say when it ends." };
  if (expiresAt && expiresAt <= from) return { error: "It has to end after it starts." };
  return { startsAt, expiresAt };
}

export function ScheduleFields({
  value,
  onChange,
}: {
  value: Schedule;
  onChange(value: Schedule): void;
}) {
  const times = timesOf(value, new Date());
  const touched =
    (value.start === "at" && value.startAt !== "") || (value.end === "at" && value.endAt !== "");
  return (
    <div className="flex flex-col gap-2">
      <div className="grid gap-3 sm:grid-cols-2">
        <div className="flex flex-col gap-1">
          <span className="text-xs font-medium text-muted">Starts</span>
          <Choice
            label="Starts"
            className="self-start"
            value={value.start}
            onChange={(start) => onChange({ ...value, start })}
            options={[
              { value: "now", label: "Now" },
              { value: "at", label: "At…" },
            ]}
          />
          {value.start === "at" && (
            <Field label="Start, in your time zone">
              {(field) => (
                <Input
                  {...field}
                  type="datetime-local"
                  value={value.startAt}
                  onChange={(event) => onChange({ ...value, startAt: event.target.value })}
                />
              )}
            </Field>
          )}
        </div>
        <div className="flex flex-col gap-1">
          <span className="text-xs font-medium text-muted">Ends</span>
          <Choice
            label="Ends"
            className="self-start"
            value={value.end}
            onChange={(end) => onChange({ ...value, end })}
            options={[
              { value: "never", label: "By restore" },
              { value: "1", label: "1 h" },
              { value: "4", label: "4 h" },
              { value: "24", label: "24 h" },
              { value: "at", label: "At…" },
            ]}
          />
          {value.end === "at" && (
            <Field label="End, in your time zone">
              {(field) => (
                <Input
                  {...field}
                  type="datetime-local"
                  value={value.endAt}
                  onChange={(event) => onChange({ ...value, endAt: event.target.value })}
                />
              )}
            </Field>
          )}
        </div>
      </div>
      {touched && "error" in times && <p className="text-xs text-deny">{times.error}</p>}
    </div>
  );
}
