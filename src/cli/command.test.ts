// Goal: a command line is read, and refused, as cobra and pflag would: same texts, same exit codes. Method: a small tree like
// etcdutl's; the expected texts were captured from the real tool where it has them.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { CommandSpec, Invocation, Outcome } from "./command.ts";
import { args, commandTree, ExitError, execute } from "./command.ts";
import { formatDuration, parseDuration } from "./duration.ts";
import { goQuote } from "./quote.ts";

type Ran = Outcome & { out: string; err: string; seen: Invocation | undefined };

async function run(line: string[]): Promise<Ran> {
  let out = "";
  let err = "";
  let seen: Invocation | undefined;
  const keep = (invocation: Invocation): void => {
    seen = invocation;
  };
  const spec: CommandSpec = {
    use: "tool",
    short: "A tool.",
    persistentFlags: [
      { name: "write-out", short: "w", kind: "string", value: "simple", usage: "set the output format" },
      { name: "timeout", kind: "duration", value: 10_000_000_000n, usage: "time to wait" },
    ],
    commands: [
      {
        use: "get <key>",
        short: "Gets",
        args: args.exactly(1),
        flags: [
          { name: "rev", kind: "int64", usage: "revision" },
          { name: "all", short: "a", kind: "bool", usage: "everything" },
          { name: "name", short: "n", kind: "stringSlice", usage: "`names` to get" },
        ],
        run: keep,
      },
      {
        use: "defrag",
        short: "Defrags",
        flags: [{ name: "data-dir", kind: "string", usage: "d", required: true }],
        run: keep,
      },
      {
        use: "snapshot <subcommand>",
        short: "Snapshots",
        commands: [
          {
            use: "status <file>",
            short: "Status",
            run: () => {
              throw new ExitError(128, "no file");
            },
          },
        ],
      },
    ],
  };
  const outcome = await execute(commandTree(spec), line, {
    out: (text) => {
      out += String(text);
    },
    err: (text) => {
      err += text;
    },
  });
  return { ...outcome, out, err, seen };
}

test("flags are read wherever they stand, in every spelling", async () => {
  const { seen } = await run(["-w", "json", "get", "--rev=0x10", "-an=x,y", "k", "--timeout", "1m30s"]);
  assert.equal(seen?.flags.string("write-out"), "json");
  assert.equal(seen?.flags.int("rev"), 16n);
  assert.equal(seen?.flags.bool("all"), true);
  assert.deepEqual(seen?.flags.strings("name"), ["x", "y"]);
  assert.equal(seen?.flags.durationMillis("timeout"), 90_000);
  assert.deepEqual(seen?.args, ["k"]);
  assert.equal(seen?.flags.changed("rev"), true);
});

test("what stands after -- is no flag", async () => {
  const { seen } = await run(["get", "--", "--rev"]);
  assert.deepEqual(seen?.args, ["--rev"]);
  assert.equal(seen?.flags.argsLengthAtDash, 0);
});

test("a unique prefix names a command, an ambiguous one does not", async () => {
  assert.equal((await run(["ge", "k"])).code, 0);
  assert.equal((await run(["snap", "stat"])).err, "Error: no file\n");
  assert.equal((await run(["snap", "stat"])).code, 128);
});

test("wrong flags are refused with pflag's texts", async () => {
  const first = async (...line: string[]): Promise<string> => (await run(line)).err.split("\n", 1)[0]!;
  assert.equal(await first("get", "--nope"), "Error: unknown flag: --nope");
  assert.equal(await first("get", "-anx", "-z"), "Error: unknown shorthand flag: 'z' in -z");
  assert.equal(await first("get", "--rev"), "Error: flag needs an argument: --rev");
  assert.equal(await first("get", "-n"), "Error: flag needs an argument: 'n' in -n");
  assert.equal(await first("get", "--=x"), "Error: bad flag syntax: --=x");
  assert.equal(
    await first("get", "--rev=abc"),
    'Error: invalid argument "abc" for "--rev" flag: strconv.ParseInt: parsing "abc": invalid syntax',
  );
  assert.equal(
    await first("get", "--rev=9223372036854775808"),
    'Error: invalid argument "9223372036854775808" for "--rev" flag: strconv.ParseInt: parsing "9223372036854775808": value out of range',
  );
  assert.equal(
    await first("get", "-a=maybe"),
    'Error: invalid argument "maybe" for "-a, --all" flag: strconv.ParseBool: parsing "maybe": invalid syntax',
  );
  assert.equal(
    await first("get", "--timeout=5"),
    'Error: invalid argument "5" for "--timeout" flag: time: missing unit in duration "5"',
  );
  assert.equal(await first("get"), "Error: accepts 1 arg(s), received 0");
  assert.equal(await first("defrag"), 'Error: required flag(s) "data-dir" not set');
});

test("an unknown command is refused with a suggestion", async () => {
  const { err, code, error } = await run(["snapshoot"]);
  assert.equal(
    err,
    'Error: unknown command "snapshoot" for "tool"\n\nDid you mean this?\n\tsnapshot\n\nRun \'tool --help\' for usage.\n',
  );
  assert.equal(code, 1);
  assert.ok(error?.startsWith("unknown command"));
});

test("the usage has cobra's layout", async () => {
  const { err } = await run(["get", "--nope"]);
  assert.equal(
    err,
    `Error: unknown flag: --nope
Usage:
  tool get <key> [flags]

Flags:
  -a, --all          everything
  -h, --help         help for get
  -n, --name names   names to get
      --rev int      revision

Global Flags:
      --timeout duration   time to wait (default 10s)
  -w, --write-out string   set the output format (default "simple")

`,
  );
});

test("a command that only has subcommands prints its help", async () => {
  const { out, code } = await run(["snapshot"]);
  assert.equal(code, 0);
  assert.equal(
    out,
    `Snapshots

Usage:
  tool snapshot [command]

Available Commands:
  status      Status

Flags:
  -h, --help   help for snapshot

Global Flags:
      --timeout duration   time to wait (default 10s)
  -w, --write-out string   set the output format (default "simple")

Use "tool snapshot [command] --help" for more information about a command.
`,
  );
  assert.equal((await run(["help", "snapshot"])).out, out);
  assert.equal((await run(["snapshot", "-h"])).out, out);
});

test("durations are Go's", () => {
  const printed = (text: string): string => {
    const parsed = parseDuration(text);
    return parsed.ok ? formatDuration(parsed.nanos) : parsed.error;
  };
  assert.equal(printed("1h2m3.5s"), "1h2m3.5s");
  assert.equal(printed("90m"), "1h30m0s");
  assert.equal(printed("1500us"), "1.5ms");
  assert.equal(printed("-.5us"), "-500ns");
  assert.equal(printed("0"), "0s");
  assert.equal(printed(""), 'time: invalid duration ""');
  assert.equal(printed("1x"), 'time: unknown unit "x" in duration "1x"');
  assert.equal(printed("300000h"), "300000h0m0s");
  assert.equal(printed("3000000h"), 'time: invalid duration "3000000h"');
});

test("text is quoted as %q does", () => {
  assert.equal(goQuote('a"b\\\n\u0001é\u200b'), '"a\\"b\\\\\\n\\x01é\\u200b"');
});
