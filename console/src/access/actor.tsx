"use client";

import { useQuery } from "@tanstack/react-query";
import { allKeys } from "@/api/keys";
import { useMay } from "@/session/store";

/** A principal as recorded (`key:…`), with the key's name where the role may read it. */
export function Actor({ id }: { id: string }) {
  const mayNames = useMay("manageKeys");
  const keys = useQuery({ ...allKeys, enabled: mayNames });
  const key = keys.data?.items.find((each) => id === `key:${each.id}`);
  if (key) return <span title={id}>{key.name}</span>;
  // A name, and not an identifier such as `key:…` or `source:…`.
  if (!id.includes(":")) return <span>{id}</span>;
  const short = id.length > 24 ? `${id.slice(0, 12)}…${id.slice(-4)}` : id;
  return (
    <code className="font-mono text-xs" title={id}>
      {short}
    </code>
  );
}
