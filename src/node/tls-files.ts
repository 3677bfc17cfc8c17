// A file that is read again when it has changed: its stat is compared, so that an unchanged file costs no read. Follows symbolic
// links, which is how Kubernetes swaps secrets. Used by tls-context.
import { readFileSync, statSync } from "node:fs";

export class FollowedFile {
  readonly path: string;
  #stamp = "";
  content: Buffer = Buffer.alloc(0);

  constructor(path: string) {
    this.path = path;
  }

  /** True when the content is new. Throws when the file cannot be read; what was read before stays. */
  refresh(): boolean {
    const stat = statSync(this.path, { bigint: true });
    const stamp = `${stat.dev}:${stat.ino}:${stat.size}:${stat.mtimeNs}:${stat.ctimeNs}`;
    if (stamp === this.#stamp) return false;
    const content = readFileSync(this.path);
    this.#stamp = stamp;
    if (content.equals(this.content)) return false;
    this.content = content;
    return true;
  }
}
