/** The cases that every adapter must pass, as `adapters/conformance/cases.json` states them. */
import document from './cases.json' with { type: 'json' };

/** What a framework may lack: cancelling a running tool, several calls in one answer, changed arguments. */
export type Capability = 'cancel' | 'parallel' | 'changed_arguments';

export type Target = Record<string, string>;

/** What happens before a turn, or while a tool runs. */
export interface Happening {
  kill?: Target;
  restore?: Target;
  new_event_loop?: boolean;
}

/** A call that the scripted model makes. */
export interface PlannedCall {
  id: string;
  tool: string;
  arguments: { query: string };
  /** What happens before the turn of the call. */
  before?: Happening;
  /** What happens while the tool runs. */
  during?: Happening;
  /** What something that comes after the adapter changes the arguments to. */
  changed_to?: { query: string };
}

export interface CannedAnswer {
  status: number;
  headers: Record<string, string>;
  body: string;
  repeat?: string;
  times?: number;
  hex?: string;
  then?: string;
}

/** How the control plane answers, other than truthfully. */
export interface Misbehaviour {
  answer?: CannedAnswer;
  fault?: 'refuse' | 'hang' | 'drip' | 'close' | 'half' | 'huge' | 'raw';
  of?: CannedAnswer;
  bytes?: string;
}

export interface Expectation {
  started?: string[];
  cancelled?: string[];
  never_ran_with?: { tool: string; arguments: { query: string } }[];
  read?: Record<string, { includes?: string[]; excludes?: string[] }>;
  signed: [tool: string, outcome: string][] | 'any';
  spooled?: number;
  checks?: number;
  distinct_decisions?: number;
  within_seconds?: number;
}

export interface Case {
  id: string;
  says: string;
  turns: PlannedCall[][];
  needs?: Capability[];
  check?: Misbehaviour;
  sign?: Misbehaviour;
  expect: Expectation;
}

const KNOWN = {
  case: ['id', 'says', 'turns', 'needs', 'check', 'sign', 'expect'],
  call: ['id', 'tool', 'arguments', 'before', 'during', 'changed_to'],
  expect: [
    ...['started', 'cancelled', 'never_ran_with', 'read', 'signed', 'spooled'],
    ...['checks', 'distinct_decisions', 'within_seconds'],
  ],
};

/** Texts that no model may read, and the agent that calls. */
export const neverRead: readonly string[] = document.never_read;
export const agent: string = document.agent;

/**
 * The cases for an adapter whose framework lacks some capabilities; `truthful` leaves those out in which the control
 * plane misbehaves.
 */
export function cases(lacks: readonly Capability[] = [], truthful = false): Case[] {
  const every = document.cases as unknown as Case[];
  for (const one of every) demandKnown(one);
  return every.filter(
    ({ needs = [], check, sign }) =>
      !needs.some((need) => lacks.includes(need)) && !(truthful && (check || sign)),
  );
}

/** A member that is not known would be a case that is not played. */
function demandKnown(one: Case): void {
  const parts: [keyof typeof KNOWN, object][] = [
    ['case', one],
    ['expect', one.expect],
    ...one.turns.flat().map((call): ['call', object] => ['call', call]),
  ];
  for (const [kind, part] of parts) {
    const unknown = Object.keys(part).find((name) => !KNOWN[kind].includes(name));
    if (unknown !== undefined) throw new Error(`case ${one.id}: \`${unknown}\` is not known`);
  }
}
