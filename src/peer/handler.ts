// The peer port's paths, as etcd's peer mux has them: which is answered by whom, and what an unknown one gets. Made by network once there
// is a member; whatever goes wrong within an answer ends that connection and nothing else.

import type { IncomingMessage, ServerResponse } from "node:http";
import { AssertionError } from "../base/assert.ts";
import { errorText } from "../base/error-text.ts";
import { cleanPath, sendError, sendNotFound, sendRedirect } from "../node/http-reply.ts";
import type { PeerHost } from "./peer-host.ts";
import { handlePipeline, handleProbing, handleStream } from "./raft-handlers.ts";
import {
  handleDowngradeEnabled,
  handleHashKv,
  handleLease,
  handleMembers,
  handlePromote,
  handleVersion,
  PROMOTE_PREFIX,
} from "./service-handlers.ts";
import { SnapshotReceiver } from "./snapshot-receiver.ts";

export type PeerHandler = (request: IncomingMessage, response: ServerResponse) => void;

type Answer = (request: IncomingMessage, response: ServerResponse, path: string) => void | Promise<void>;

const STREAM_PREFIX = "/raft/stream/";

export function createPeerHandler(host: PeerHost): PeerHandler {
  const snapshots = new SnapshotReceiver(host);
  const exact = new Map<string, Answer>([
    ["/raft", (request, response) => handlePipeline(host, request, response)],
    ["/raft/snapshot", (request, response) => snapshots.handle(request, response)],
    ["/raft/probing", (_request, response) => handleProbing(response)],
    ["/members", (request, response) => handleMembers(host, request, response)],
    ["/members/hashkv", (request, response) => handleHashKv(host, request, response)],
    ["/leases", (request, response) => handleLease(host, request, response, false)],
    ["/leases/internal", (request, response) => handleLease(host, request, response, true)],
    ["/downgrade/enabled", (request, response) => handleDowngradeEnabled(host, request, response)],
    ["/version", (request, response) => handleVersion(host, request, response)],
  ]);
  const stream: Answer = (request, response, path) => handleStream(host, request, response, path);
  const promote: Answer = (request, response, path) => handlePromote(host, request, response, path);
  return (request, response) => {
    const path = decodedPath(request);
    if (path === undefined) {
      sendError(response, 400, "400 Bad Request");
      return;
    }
    const clean = cleanPath(path);
    const tree = `${clean}/`;
    if (clean !== path || tree === STREAM_PREFIX || tree === PROMOTE_PREFIX) {
      sendRedirect(request, response, encodeURI(clean === path ? tree : clean));
      return;
    }
    let answer = exact.get(path);
    if (path.startsWith(STREAM_PREFIX)) answer = stream;
    else if (path.startsWith(PROMOTE_PREFIX)) answer = promote;
    if (answer === undefined) {
      sendNotFound(response);
      return;
    }
    settled(answer, request, response, path).then(
      () => leaveRest(request, response),
      (error: unknown) => {
        // A broken invariant of the member's ends the process, here as anywhere.
        if (error instanceof AssertionError) throw error;
        // The sender has gone: nothing can be said to it any more.
        host.logger.warn("failed to answer a member", {
          path,
          error: errorText(error),
        });
        response.destroy();
      },
    );
  };
}

/** Also what is thrown at once ends as a rejection. */
async function settled(
  answer: Answer,
  request: IncomingMessage,
  response: ServerResponse,
  path: string,
): Promise<void> {
  await answer(request, response, path);
}

function decodedPath(request: IncomingMessage): string | undefined {
  try {
    return (
      decodeURIComponent((request.url ?? "/").replace(/^https?:\/\/[^/?#]*/i, "").replace(/[?#].*$/, "")) ||
      "/"
    );
  } catch {
    return undefined;
  }
}

/** A body that nobody wanted is not waited for: the connection ends with the answer. */
function leaveRest(request: IncomingMessage, response: ServerResponse): void {
  if (request.complete || !response.writableEnded) return;
  response.once("finish", () => request.socket.destroySoon());
  if (response.writableFinished) request.socket.destroySoon();
}
