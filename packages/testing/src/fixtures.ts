/** Something that runs until it is stopped: a server, a client, a farm. */
export interface Fixture {
  /** For the report of the leak check: "redis-server 1234 on port 4711". */
  readonly what: string;
  /** Ends it without asking twice. */
  readonly terminate: () => void;
}

const running = new Set<Fixture>();

/** Registers a fixture as running. Call the result when it has been stopped. */
export function registerFixture(fixture: Fixture): () => void {
  running.add(fixture);
  return () => {
    running.delete(fixture);
  };
}

/** Ends a fixture, which does not count as running any more. */
export function terminateFixture(fixture: Fixture): void {
  running.delete(fixture);
  fixture.terminate();
}

/** The fixtures that run now. */
export function runningFixtures(): Fixture[] {
  return [...running];
}
