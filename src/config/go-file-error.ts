// Node's file errors in Go's words, for the messages of etcd that quote them.
import { errorText } from "../base/error-text.ts";

export function goFileError(error: unknown): string {
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  switch (code) {
    case "ENOENT":
      return "no such file or directory";
    case "EACCES":
      return "permission denied";
    case "EISDIR":
      return "is a directory";
    case "ENOTDIR":
      return "not a directory";
    case "EROFS":
      return "read-only file system";
    default:
      return errorText(error);
  }
}
