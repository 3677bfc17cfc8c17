// Answers in the form of Go's net/http: plain errors, redirects to the clean path, method checks. Used by the handlers of the client
// port (src/http) and of the peer port (src/peer); a reply is always whole and carries its length.
import type { IncomingMessage, ServerResponse } from "node:http";

export type Handler = (request: IncomingMessage, response: ServerResponse, query: URLSearchParams) => void;

const TEXT = "text/plain; charset=utf-8";

/** http.Error: the text with a line feed, never sniffed by browsers. */
export function sendError(response: ServerResponse, status: number, text: string): void {
  response.setHeader("Content-Type", TEXT);
  response.setHeader("X-Content-Type-Options", "nosniff");
  send(response, status, `${text}\n`);
}

export function sendText(response: ServerResponse, text: string): void {
  response.setHeader("Content-Type", TEXT);
  send(response, 200, text);
}

export function sendJson(response: ServerResponse, status: number, json: string): void {
  response.setHeader("Content-Type", "application/json");
  send(response, status, json);
}

export function send(response: ServerResponse, status: number, body: string | Buffer): void {
  const bytes = typeof body === "string" ? Buffer.from(body) : body;
  response.setHeader("Content-Length", bytes.length);
  response.writeHead(status);
  response.end(bytes);
}

export function sendNotFound(response: ServerResponse): void {
  sendError(response, 404, "404 page not found");
}

/** True for GET. Otherwise answers 405, and the caller logs it if it wants to. */
export function allowGet(request: IncomingMessage, response: ServerResponse): boolean {
  if (request.method === "GET") return true;
  response.setHeader("Allow", "GET");
  sendError(response, 405, "Method Not Allowed");
  return false;
}

/** As Go's ServeMux sends a path with doubled slashes or dots to its clean form. */
export function sendRedirect(request: IncomingMessage, response: ServerResponse, location: string): void {
  response.setHeader("Location", location);
  if (request.method === "GET" || request.method === "HEAD") {
    response.setHeader("Content-Type", "text/html; charset=utf-8");
  }
  const escaped = location
    .replaceAll("&", "&amp;")
    .replaceAll("<", "&lt;")
    .replaceAll(">", "&gt;")
    .replaceAll('"', "&#34;");
  send(response, 307, request.method === "GET" ? `<a href="${escaped}">Temporary Redirect</a>.\n\n` : "");
}

/** path.Clean with the trailing slash kept, as ServeMux does. */
export function cleanPath(path: string): string {
  const parts: string[] = [];
  for (const part of path.split("/")) {
    if (part === "" || part === ".") continue;
    if (part === "..") parts.pop();
    else parts.push(part);
  }
  const clean = `/${parts.join("/")}`;
  const slash = path.endsWith("/") && clean !== "/";
  return slash ? `${clean}/` : clean;
}
