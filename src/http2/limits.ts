// Every maximum of the network edge, with its reason and the answer when it is passed. Values of etcd's flags arrive as options
// (see src/grpc/server); what stands here has no flag in etcd.

/** What one stream may send before we give credit back: more than the largest message, so that a unary call needs none. */
export const STREAM_WINDOW_BYTES = 4 << 20;
/** What one connection may send before we give credit back. Credit goes back when half is used. */
export const CONNECTION_WINDOW_BYTES = 16 << 20;

/** Encoded bytes of one header block with its CONTINUATION frames. Passed: GOAWAY ENHANCE_YOUR_CALM. */
export const HEADER_BLOCK_BYTES_MAX = 1 << 20;
/** CONTINUATION frames of one header block (tiny fragments cost time). Passed: GOAWAY ENHANCE_YOUR_CALM. */
export const CONTINUATION_FRAMES_MAX = 128;
/** Decoded size of a header list (names, values, 32 per field), announced in SETTINGS. Passed: RST_STREAM ENHANCE_YOUR_CALM. */
export const HEADER_LIST_BYTES_MAX = 1 << 20;

/** Bytes handed to the socket or ready for it, above which no more DATA is made; streams keep their bytes. */
export const OUTPUT_BYTES_HIGH = 256 << 10;
/** Below this the round-robin goes on. */
export const OUTPUT_BYTES_LOW = 128 << 10;
/** Bytes ready for a socket whose peer does not read, above which we stop reading from it. */
export const OUTPUT_BYTES_MAX = 1 << 20;
/** Messages queued on one connection, above which new streams are refused (REFUSED_STREAM: clients retry). */
export const QUEUED_BYTES_REFUSE = 64 << 20;
/** Messages queued on one connection, above which it is closed (GOAWAY ENHANCE_YOUR_CALM): the peer hoards. */
export const QUEUED_BYTES_MAX = 512 << 20;
/** Bytes of half-received messages on one connection. Passed: the stream that passes it is reset, ENHANCE_YOUR_CALM. */
export const ASSEMBLY_BYTES_MAX = 256 << 20;

/** A call's onDrain is called when its queue falls below this. */
export const DRAIN_BYTES = 64 << 10;
/** Bytes up to this long are copied into the output; longer ones are handed to the socket as they are. */
export const COPY_BYTES_MAX = 2048;
export const OUTPUT_SLAB_BYTES = 8 << 10;
/** Slabs kept for reuse by all connections of a server. */
export const OUTPUT_SLABS_KEPT = 512;

/** Streams reset by the client before they were answered: a burst, and per second. Passed: GOAWAY ENHANCE_YOUR_CALM. */
export const RESETS_BURST = 5000;
export const RESETS_PER_SECOND = 500;
/** Frames that move nothing (SETTINGS, PRIORITY, empty DATA, unknown types, frames on closed streams, pings, stream errors). */
export const IDLE_FRAMES_BURST = 10_000;
export const IDLE_FRAMES_PER_SECOND = 2000;

/** Streams that we reset lately: what was already on its way for them is dropped without an answer. */
export const RECENT_RESETS_KEPT = 64;
/** grpc-message is cut here: a trailer must fit one frame. Percent-encoding can triple it. */
export const STATUS_MESSAGE_CHARACTERS_MAX = 4096;

/** A new connection that has not said what it speaks by then is dropped (grpc-go's handshake timeout). */
export const PREFACE_TIMEOUT_MS = 120_000;
/** A closing connection whose peer does not close its side is destroyed after this. */
export const CLOSE_LINGER_MS = 1000;
/** Whole header blocks remembered per connection. */
export const HEADER_MEMO_ENTRIES = 4;
/** Longer blocks are not remembered. */
export const HEADER_MEMO_BLOCK_BYTES_MAX = 512;
/** Body of a request that is not gRPC. Passed: 413. */
export const PLAIN_BODY_BYTES_MAX = 4 << 20;
/** How often connections are looked at for keepalive and lingering ends. */
export const SWEEP_MS = 1000;
/** The acknowledgement of a ping waits so long at most for an answer that goes the same way. */
export const PONG_WAIT_MS = 5;
