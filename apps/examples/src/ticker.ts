import { accept, defineApp, reject } from '@roost/farm';

const PERIOD_MS = 1000;
const OPENING_PRICES = { ROO: 100, DOV: 40, OWL: 250 };

/**
 * ws://localhost:8080/ticker?symbol=ROO&symbol=OWL sends prices as they change. The first worker makes them for all:
 * what it publishes reaches the subscribers of every worker.
 */
export default defineApp((context) => {
  const prices = new Map(Object.entries(OPENING_PRICES));

  function tick(): void {
    for (const [symbol, price] of prices) {
      const next = Math.max(1, price + Math.random() - 0.5);
      prices.set(symbol, next);
      // A tick that the broker does not take is followed by the next one.
      void context.publish(`ticker:${symbol}`, JSON.stringify({ symbol, price: next.toFixed(2) }));
    }
  }

  const timer = context.worker === 0 ? setInterval(tick, PERIOD_MS) : undefined;
  return {
    upgrade(request) {
      if (request.path !== '/ticker') return undefined;
      const symbols = request.query.getAll('symbol').filter((symbol) => prices.has(symbol));
      if (symbols.length === 0) return reject(400, `Name a symbol: ${[...prices.keys()].join(', ')}.`);
      return accept({ channels: symbols.map((symbol) => `ticker:${symbol}`) });
    },
    stop() {
      clearInterval(timer);
    },
  };
});
