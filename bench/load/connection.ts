// A client connection that speaks just enough HTTP/2 and gRPC to load a server: frames are built by hand and sent one write a turn,
// replies are only looked at as far as they must be. So the client takes a small part of the two cores that it shares with the server.
// It must respect the server's flow control and never answer for the server: a call without a message counts as failed.
import { connect as connectTcp, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";

export interface Target {
  readonly host: string;
  readonly port: number;
  readonly tls?: { readonly ca: Buffer; readonly cert: Buffer; readonly key: Buffer };
}

/** What a call reports. A unary call gets at most one message and then its end; a stream many. */
export interface Call {
  /** The body of one gRPC message: a view that is valid during the call only. */
  onMessage(body: Buffer): void;
  onEnd(failure: string | undefined): void;
}

interface OpenCall {
  readonly call: Call;
  readonly wantsBody: boolean;
  messages: number;
  /** Bytes of a message that is not complete yet. */
  parts: Buffer[];
  partBytes: number;
  /** Bytes of the current message still to come when its body is not wanted. */
  skip: number;
}

const preface = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "latin1");
const frameHead = 9;
const maxFrame = 16_384;
const windowMax = 0x7fffffff;
const [typeData, typeHeaders, typeReset, typeSettings, typePing, typeGoaway, typeWindow] = [
  0, 1, 3, 4, 6, 7, 8,
];
const [flagEndStream, flagEndHeaders, flagAck] = [1, 4, 1];
const firstDynamicIndex = 62;

export class Connection {
  readonly #socket: Socket;
  readonly #authority: string;
  readonly #secure: boolean;
  readonly #calls = new Map<number, OpenCall>();
  readonly #headerOrder = new Map<string, number>();
  readonly #headerBlocks = new Map<string, Buffer>();
  #out: Buffer[] = [];
  #flushing = false;
  #carry: Buffer | undefined;
  #nextStream = 1;
  #sendWindow = 65_535;
  #waiting: { stream: number; data: Buffer; end: boolean }[] = [];
  #received = 0;
  #failure: string | undefined;

  private constructor(socket: Socket, target: Target) {
    this.#socket = socket;
    this.#authority = `${target.host}:${target.port}`;
    this.#secure = target.tls !== undefined;
    socket.setNoDelay(true);
    socket.on("data", (chunk: Buffer) => this.#read(chunk));
    socket.on("error", (error) => this.#fail(error.message));
    socket.on("close", () => this.#fail("connection closed"));
    // Settings: no push, streams that may receive without limit; then the same for the connection.
    const settings = Buffer.alloc(12);
    settings.writeUInt16BE(2, 0);
    settings.writeUInt16BE(4, 6);
    settings.writeUInt32BE(windowMax, 8);
    this.#push(preface, frame(typeSettings, 0, 0, settings), windowUpdate(windowMax - 65_535));
  }

  static open(target: Target): Promise<Connection> {
    return new Promise((resolve, reject) => {
      const { host, port, tls } = target;
      const socket =
        tls === undefined
          ? connectTcp(port, host)
          : connectTls({ host, port, ...tls, ALPNProtocols: ["h2"] });
      socket.once("error", reject);
      socket.once(tls === undefined ? "connect" : "secureConnect", () => {
        socket.removeListener("error", reject);
        resolve(new Connection(socket, target));
      });
    });
  }

  /** Bytes received since the connection opened. */
  get received(): number {
    return this.#received;
  }

  get failure(): string | undefined {
    return this.#failure;
  }

  close(): void {
    this.#socket.destroy();
  }

  /** One request, one reply. The message is copied before this returns, so its buffer may be used again. */
  unary(path: string, body: Buffer, call: Call, wantsBody = false): void {
    const stream = this.#open(path, call, wantsBody);
    this.#data(stream, body, true);
  }

  /** A stream that stays open for sending; `send` writes one message. */
  stream(path: string, call: Call, wantsBody = true): (body: Buffer) => void {
    const stream = this.#open(path, call, wantsBody);
    return (body) => this.#data(stream, body, false);
  }

  #open(path: string, call: Call, wantsBody: boolean): number {
    const stream = this.#nextStream;
    this.#nextStream += 2;
    if (this.#failure !== undefined) {
      const failure = this.#failure;
      setImmediate(() => call.onEnd(failure));
      return stream;
    }
    this.#calls.set(stream, { call, wantsBody, messages: 0, parts: [], partBytes: 0, skip: 0 });
    this.#push(frame(typeHeaders, flagEndHeaders, stream, this.#headers(path)));
    return stream;
  }

  #data(stream: number, body: Buffer, end: boolean): void {
    const data = Buffer.allocUnsafe(5 + body.length);
    data[0] = 0;
    data.writeUInt32BE(body.length, 1);
    body.copy(data, 5);
    this.#waiting.push({ stream, data, end });
    this.#sendWaiting();
  }

  #sendWaiting(): void {
    while (this.#waiting.length > 0) {
      const first = this.#waiting[0]!;
      const size = Math.min(first.data.length, maxFrame, this.#sendWindow);
      if (size === 0) return;
      const last = size === first.data.length;
      this.#sendWindow -= size;
      this.#push(
        frame(typeData, last && first.end ? flagEndStream : 0, first.stream, first.data.subarray(0, size)),
      );
      if (last) this.#waiting.shift();
      else first.data = first.data.subarray(size);
    }
  }

  /** The header block of a request; what was sent once is named by its place in the dynamic table from then on, as real clients do. */
  #headers(path: string): Buffer {
    const known = this.#headerBlocks.get(path);
    if (known !== undefined) return known;
    const before = this.#headerOrder.size;
    const fields = [
      this.#header(":path", path),
      this.#header(":authority", this.#authority),
      this.#header("content-type", "application/grpc"),
      this.#header("te", "trailers"),
    ];
    const block = Buffer.concat([Buffer.from([0x83, this.#secure ? 0x87 : 0x86]), ...fields]);
    if (this.#headerOrder.size === before) this.#headerBlocks.set(path, block);
    else this.#headerBlocks.clear();
    return block;
  }

  #header(name: string, value: string): Buffer {
    const key = `${name}\n${value}`;
    const order = this.#headerOrder.get(key);
    if (order !== undefined)
      return Buffer.from([0x80 | (firstDynamicIndex + this.#headerOrder.size - 1 - order)]);
    this.#headerOrder.set(key, this.#headerOrder.size);
    return Buffer.concat([Buffer.from([0x40]), headerText(name), headerText(value)]);
  }

  #push(...buffers: Buffer[]): void {
    this.#out.push(...buffers);
    if (this.#flushing) return;
    this.#flushing = true;
    setImmediate(() => this.#flush());
  }

  #flush(): void {
    this.#flushing = false;
    const out = this.#out;
    this.#out = [];
    if (!this.#socket.destroyed) this.#socket.write(out.length === 1 ? out[0]! : Buffer.concat(out));
  }

  #read(chunk: Buffer): void {
    this.#received += chunk.length;
    let buffer = chunk;
    if (this.#carry !== undefined) {
      buffer = Buffer.concat([this.#carry, chunk]);
      this.#carry = undefined;
    }
    let at = 0;
    let dataBytes = 0;
    while (buffer.length - at >= frameHead) {
      const length = buffer.readUIntBE(at, 3);
      const end = at + frameHead + length;
      if (end > buffer.length) break;
      if (buffer[at + 3] === typeData) dataBytes += length;
      this.#frame(
        buffer[at + 3]!,
        buffer[at + 4]!,
        buffer.readUInt32BE(at + 5) & 0x7fffffff,
        buffer,
        at + frameHead,
        end,
      );
      at = end;
    }
    if (at < buffer.length) this.#carry = Buffer.from(buffer.subarray(at));
    if (dataBytes > 0) this.#push(windowUpdate(dataBytes));
  }

  #frame(type: number, flags: number, stream: number, buffer: Buffer, from: number, to: number): void {
    switch (type) {
      case typeData:
        this.#message(stream, buffer, from, to);
        if ((flags & flagEndStream) !== 0) this.#end(stream, undefined);
        return;
      case typeHeaders:
        if ((flags & flagEndStream) !== 0) this.#end(stream, buffer.toString("latin1", from, to));
        return;
      case typeReset:
        this.#end(stream, `stream reset with code ${buffer.readUInt32BE(from)}`);
        return;
      case typeSettings:
        if ((flags & flagAck) === 0) this.#push(frame(typeSettings, flagAck, 0, Buffer.alloc(0)));
        return;
      case typePing:
        if ((flags & flagAck) === 0)
          this.#push(frame(typePing, flagAck, 0, Buffer.from(buffer.subarray(from, to))));
        return;
      case typeGoaway:
        this.#fail(`GOAWAY ${buffer.readUInt32BE(from + 4)} ${buffer.toString("latin1", from + 8, to)}`);
        return;
      case typeWindow:
        // Messages here stay below a stream's first window, so only the connection's counts.
        if (stream !== 0) return;
        this.#sendWindow += buffer.readUInt32BE(from);
        this.#sendWaiting();
        return;
    }
  }

  #message(stream: number, buffer: Buffer, from: number, to: number): void {
    const open = this.#calls.get(stream);
    if (open === undefined) return;
    let at = from;
    while (at < to) {
      if (open.skip > 0) {
        const taken = Math.min(open.skip, to - at);
        open.skip -= taken;
        at += taken;
        continue;
      }
      const available = to - at;
      if (open.partBytes === 0 && available >= 5) {
        const length = buffer.readUInt32BE(at + 1);
        if (!open.wantsBody) {
          open.messages++;
          open.skip = length;
          at += 5;
          continue;
        }
        if (available >= 5 + length) {
          open.messages++;
          open.call.onMessage(buffer.subarray(at + 5, at + 5 + length));
          at += 5 + length;
          continue;
        }
      }
      open.parts.push(Buffer.from(buffer.subarray(at, to)));
      open.partBytes += available;
      at = to;
      this.#completeParts(open);
    }
  }

  #completeParts(open: OpenCall): void {
    if (open.partBytes < 5) return;
    const head = open.parts[0]!.length >= 5 ? open.parts[0]! : Buffer.concat(open.parts);
    if (open.partBytes < 5 + head.readUInt32BE(1)) return;
    let whole = Buffer.concat(open.parts);
    open.parts = [];
    open.partBytes = 0;
    while (whole.length >= 5 && whole.length >= 5 + whole.readUInt32BE(1)) {
      const end = 5 + whole.readUInt32BE(1);
      open.messages++;
      open.call.onMessage(whole.subarray(5, end));
      whole = whole.subarray(end);
    }
    if (whole.length === 0) return;
    open.parts = [whole];
    open.partBytes = whole.length;
  }

  #end(stream: number, trailers: string | undefined): void {
    const open = this.#calls.get(stream);
    if (open === undefined) return;
    this.#calls.delete(stream);
    open.call.onEnd(open.messages > 0 ? undefined : `no reply: ${JSON.stringify(trailers ?? "")}`);
  }

  #fail(why: string): void {
    if (this.#failure !== undefined) return;
    this.#failure = why;
    const calls = [...this.#calls.values()];
    this.#calls.clear();
    for (const { call } of calls) call.onEnd(why);
  }
}

function frame(type: number, flags: number, stream: number, payload: Buffer): Buffer {
  const buffer = Buffer.allocUnsafe(frameHead + payload.length);
  buffer.writeUIntBE(payload.length, 0, 3);
  buffer[3] = type;
  buffer[4] = flags;
  buffer.writeUInt32BE(stream, 5);
  payload.copy(buffer, frameHead);
  return buffer;
}

function windowUpdate(bytes: number): Buffer {
  const increment = Buffer.alloc(4);
  increment.writeUInt32BE(bytes, 0);
  return frame(typeWindow, 0, 0, increment);
}

function headerText(text: string): Buffer {
  return Buffer.concat([Buffer.from([text.length]), Buffer.from(text, "latin1")]);
}
