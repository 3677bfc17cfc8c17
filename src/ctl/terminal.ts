// Reading from the person at the keyboard: passwords without echo, and standard input line by line or whole.
/** Asks for a password; what is typed on a terminal does not show. Without a terminal it is a line of standard input. */
export async function askPassword(prompt: string): Promise<string> {
  process.stdout.write(prompt);
  const { stdin } = process;
  if (!stdin.isTTY) return await pipedLine();
  stdin.setRawMode(true);
  stdin.resume();
  return await new Promise((resolve) => {
    let text = "";
    const take = (chunk: Buffer): void => {
      for (const c of chunk.toString("utf8")) {
        if (c === "\u0003") process.exit(130);
        else if (c === "\r" || c === "\n") {
          stdin.off("data", take);
          stdin.setRawMode(false);
          stdin.pause();
          process.stdout.write("\n");
          resolve(text);
          return;
        } else if (c === "\u007f") text = text.slice(0, -1);
        else text += c;
      }
    };
    stdin.on("data", take);
  });
}

let piped: LineReader | undefined;

/** etcdctl switches the echo off and on with stty, whose complaints it lets through. */
async function pipedLine(): Promise<string> {
  const complaint = "stty: 'standard input': Inappropriate ioctl for device\n";
  process.stderr.write(complaint);
  piped ??= new LineReader();
  const line = await piped.next();
  process.stderr.write(complaint);
  process.stdout.write("\n");
  return (line ?? piped.rest()).replace(/\r$/, "");
}

export async function readAllInput(): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of process.stdin) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

/** Standard input by lines. A last line without its end counts as the end of input, as in Go's ReadString. */
export class LineReader {
  readonly #input = process.stdin[Symbol.asyncIterator]();
  #held = Buffer.alloc(0);

  async next(): Promise<string | undefined> {
    for (;;) {
      const end = this.#held.indexOf(10);
      if (end >= 0) {
        const line = this.#held.subarray(0, end).toString("utf8");
        this.#held = this.#held.subarray(end + 1);
        return line;
      }
      const { done, value } = await this.#input.next();
      if (done === true) return undefined;
      this.#held = Buffer.concat([this.#held, value as Buffer]);
    }
  }

  /** What stood after the last line end. */
  rest(): string {
    return this.#held.toString("utf8");
  }
}
