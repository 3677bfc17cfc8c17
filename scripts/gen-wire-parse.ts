// Reads the .proto texts of src/wire/proto into plain data for the emitter. It knows the part of the language they use: messages,
// nested enums, oneofs, services, and the one option `jstype`. Anything else ends the run: it must never guess.

export type ScalarKind = "int64" | "uint64" | "uint32" | "bool" | "string" | "bytes";

export type Field = {
  /** As in the .proto. */
  readonly name: string;
  /** As in TypeScript. */
  readonly property: string;
  readonly number: number;
  readonly type: string;
  readonly repeated: boolean;
  /** For 64 bits: a number rather than a bigint. */
  readonly asNumber: boolean;
  /** Name of the oneof it is in, or "". */
  readonly oneof: string;
};

export type Message = { readonly name: string; readonly fields: Field[]; readonly oneofs: string[] };
export type Enum = {
  /** As in TypeScript: nested enums stand beside their message. */
  readonly name: string;
  /** As in the .proto, with the message it stands in. */
  readonly protoName: string;
  readonly values: { name: string; number: number }[];
};
export type Method = {
  readonly name: string;
  readonly request: string;
  readonly response: string;
  readonly requestStream: boolean;
  readonly responseStream: boolean;
};
export type Service = { readonly name: string; readonly methods: Method[] };

export type ProtoFile = {
  /** File name without its ending. */
  readonly name: string;
  readonly package: string;
  readonly proto3: boolean;
  readonly imports: string[];
  readonly messages: Message[];
  readonly enums: Enum[];
  readonly services: Service[];
};

/** `peerURLs` → peerUrls, `member_ID` → memberId, `TTL` → ttl, `LeaseTimeToLiveRequest` → leaseTimeToLiveRequest. */
export function propertyName(name: string): string {
  const words = name
    .replace(/([A-Z]{2,})(s?)(?=$|_|[A-Z][a-z])/g, (_, upper: string, plural: string) => {
      return `_${upper.toLowerCase()}${plural}_`;
    })
    .replace(/([a-z0-9])([A-Z])/g, "$1_$2")
    .split("_")
    .filter((word) => word !== "")
    .map((word) => word.toLowerCase());
  return words.map((word, i) => (i === 0 ? word : word[0]!.toUpperCase() + word.slice(1))).join("");
}

export function parseProto(name: string, text: string): ProtoFile {
  return new Parser(name, text).file();
}

class Parser {
  readonly #name: string;
  readonly #tokens: string[];
  #at = 0;

  constructor(name: string, text: string) {
    this.#name = name;
    const bare = text.replace(/\/\/[^\n]*/g, "");
    this.#tokens = bare.match(/[A-Za-z_][\w.]*|\d+|"[^"]*"|[^\s]/g) ?? [];
  }

  #next(): string {
    const token = this.#tokens[this.#at++];
    if (token === undefined) throw new Error(`${this.#name}.proto: unexpected end`);
    return token;
  }

  #expect(wanted: string): void {
    const token = this.#next();
    if (token !== wanted) throw new Error(`${this.#name}.proto: expected ${wanted}, found ${token}`);
  }

  #accept(wanted: string): boolean {
    if (this.#tokens[this.#at] !== wanted) return false;
    this.#at++;
    return true;
  }

  file(): ProtoFile {
    let packageName = "";
    let syntax = "";
    const imports: string[] = [];
    const messages: Message[] = [];
    const enums: Enum[] = [];
    const services: Service[] = [];
    while (this.#at < this.#tokens.length) {
      const keyword = this.#next();
      if (keyword === "syntax") {
        this.#expect("=");
        syntax = this.#next();
        this.#expect(";");
      } else if (keyword === "package") {
        packageName = this.#next();
        this.#expect(";");
      } else if (keyword === "import") {
        imports.push(this.#next().slice(1, -".proto".length - 1));
        this.#expect(";");
      } else if (keyword === "message") messages.push(this.#message(enums));
      else if (keyword === "enum") enums.push(this.#enum(""));
      else if (keyword === "service") services.push(this.#service());
      else throw new Error(`${this.#name}.proto: unexpected ${keyword}`);
    }
    const proto3 = syntax === '"proto3"';
    return { name: this.#name, package: packageName, proto3, imports, messages, enums, services };
  }

  #message(enums: Enum[]): Message {
    const name = this.#next();
    const fields: Field[] = [];
    const oneofs: string[] = [];
    this.#expect("{");
    while (!this.#accept("}")) {
      const keyword = this.#next();
      if (keyword === "enum") enums.push(this.#enum(name));
      else if (keyword === "reserved") while (this.#next() !== ";");
      else if (keyword === "oneof") {
        const oneof = this.#next();
        oneofs.push(oneof);
        this.#expect("{");
        while (!this.#accept("}")) fields.push(this.#field(this.#next(), false, oneof));
      } else if (keyword === "repeated") fields.push(this.#field(this.#next(), true, ""));
      else if (keyword === "optional") fields.push(this.#field(this.#next(), false, ""));
      else fields.push(this.#field(keyword, false, ""));
    }
    return { name, fields, oneofs };
  }

  #field(type: string, repeated: boolean, oneof: string): Field {
    const name = this.#next();
    this.#expect("=");
    const number = Number(this.#next());
    let asNumber = false;
    if (this.#accept("[")) {
      this.#expect("jstype");
      this.#expect("=");
      this.#expect("JS_NUMBER");
      this.#expect("]");
      asNumber = true;
    }
    this.#expect(";");
    return { name, property: propertyName(name), number, type, repeated, asNumber, oneof };
  }

  #enum(message: string): Enum {
    const name = this.#next();
    const values: { name: string; number: number }[] = [];
    this.#expect("{");
    while (!this.#accept("}")) {
      const value = this.#next();
      this.#expect("=");
      values.push({ name: value, number: Number(this.#next()) });
      this.#expect(";");
    }
    return {
      name: name === "Type" ? `${message}Type` : name,
      protoName: message === "" ? name : `${message}.${name}`,
      values,
    };
  }

  #service(): Service {
    const name = this.#next();
    const methods: Method[] = [];
    this.#expect("{");
    while (!this.#accept("}")) {
      this.#expect("rpc");
      const method = this.#next();
      const [requestStream, request] = this.#messageType();
      this.#expect("returns");
      const [responseStream, response] = this.#messageType();
      this.#expect(";");
      methods.push({ name: method, request, response, requestStream, responseStream });
    }
    return { name, methods };
  }

  #messageType(): [stream: boolean, type: string] {
    this.#expect("(");
    const stream = this.#accept("stream");
    const type = this.#next();
    this.#expect(")");
    return [stream, type];
  }
}
