// The few protobuf pieces that the load generator and the crash test need: build a message field by field, walk one field by field.
// Written apart from src/wire on purpose: the tests' client must not share a mistake with the server.
export function bytesField(field: number, value: Buffer): Buffer {
  return Buffer.concat([varint(field * 8 + 2), varint(value.length), value]);
}

/** Proto3 leaves out a zero. */
export function numberField(field: number, value: number): Buffer {
  return value === 0 ? Buffer.alloc(0) : Buffer.concat([varint(field * 8), varint(value)]);
}

export function message(...fields: Buffer[]): Buffer {
  return Buffer.concat(fields);
}

function varint(value: number): Buffer {
  const bytes: number[] = [];
  let rest = value;
  while (rest >= 128) {
    bytes.push((rest % 128) + 128);
    rest = Math.floor(rest / 128);
  }
  bytes.push(rest);
  return Buffer.from(bytes);
}

export interface Field {
  readonly field: number;
  readonly number: number;
  readonly bytes: Buffer;
}

const noBytes = Buffer.alloc(0);

/** Every field of a message in order; numbers above 2^53 lose their low digits, which no caller here looks at. */
export function* fieldsOf(buffer: Buffer): Generator<Field> {
  let at = 0;
  const readVarint = (): number => {
    let value = 0;
    for (let scale = 1; ; scale *= 128) {
      if (at >= buffer.length) throw new Error("message ends inside a number");
      const byte = buffer[at++]!;
      value += (byte & 127) * scale;
      if (byte < 128) return value;
    }
  };
  while (at < buffer.length) {
    const tag = readVarint();
    const field = Math.floor(tag / 8);
    if (tag % 8 === 0) {
      yield { field, number: readVarint(), bytes: noBytes };
    } else if (tag % 8 === 2) {
      const length = readVarint();
      if (at + length > buffer.length) throw new Error("message ends inside a field");
      yield { field, number: 0, bytes: buffer.subarray(at, at + length) };
      at += length;
    } else {
      throw new Error(`wire type ${tag % 8} is not expected here`);
    }
  }
}

export function fieldOf(buffer: Buffer, wanted: number): Field | undefined {
  for (const field of fieldsOf(buffer)) if (field.field === wanted) return field;
  return undefined;
}

/** How often a field occurs: a scan without objects, for what comes a hundred thousand times a second. */
export function countField(buffer: Buffer, wanted: number): number {
  let at = 0;
  let count = 0;
  const readVarint = (): number => {
    let value = 0;
    let scale = 1;
    while (at < buffer.length) {
      const byte = buffer[at++]!;
      value += (byte & 127) * scale;
      if (byte < 128) break;
      scale *= 128;
    }
    return value;
  };
  while (at < buffer.length) {
    const tag = readVarint();
    if (Math.floor(tag / 8) === wanted) count++;
    const value = readVarint();
    if (tag % 8 === 2) at += value;
  }
  return count;
}
