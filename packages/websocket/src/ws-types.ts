// What @types/ws lacks of ws 8.23. Only this file says what ws has beyond its documented interface.

declare module 'ws' {
  /** Parses and formats Sec-WebSocket-Protocol. */
  export const subprotocol: {
    /** The offered subprotocols in their order. Throws a SyntaxError for what is no list of distinct tokens. */
    parse(header: string): Set<string>;
  };
}
export {};
