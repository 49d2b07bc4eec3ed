"use client";

import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { type ReactNode, Suspense, useEffect, useState } from "react";
import { problemOf } from "@/api/problem";
import { forgetSeen } from "@/audit/seen";
import { LiveProvider } from "@/live/live";
import { recall } from "@/session/credential";
import { SignIn } from "@/session/sign-in";
import { begin, end, useSession } from "@/session/store";
import { Toasts } from "@/ui/toast";
import { Frame } from "./frame";

function queryClient(): QueryClient {
  return new QueryClient({
    defaultOptions: {
      queries: {
        // Events say when something changed: nothing is read again without a reason.
        staleTime: 60_000,
        refetchOnWindowFocus: false,
        refetchOnReconnect: false,
        networkMode: "always",
        // An answer is an answer; only silence is worth another try.
        retry: (failures, error) => failures < 1 && problemOf(error).status === 0,
        retryDelay: 400,
      },
      mutations: { networkMode: "always" },
    },
  });
}

export function Console({ children }: { children: ReactNode }) {
  const session = useSession();
  useEffect(() => {
    if (recall()) begin(false);
    else end("never");
  }, []);
  if (session.state !== "in") return <SignIn session={session} />;
  return (
    <SignedIn>
      <Suspense>{children}</Suspense>
    </SignedIn>
  );
}

/** What one session read is not shown to the next: the client lives as long as the session. */
function SignedIn({ children }: { children: ReactNode }) {
  const [queries] = useState(queryClient);
  useEffect(() => forgetSeen, []);
  return (
    <QueryClientProvider client={queries}>
      <LiveProvider>
        <Frame>{children}</Frame>
        <Toasts />
      </LiveProvider>
    </QueryClientProvider>
  );
}
