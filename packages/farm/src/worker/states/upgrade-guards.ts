import type { RequestHead } from '@roost/websocket';
import type { Counters } from '../../api/counters.ts';
import type { AllowedOrigins } from '../../options/allowed-origins.ts';
import type { TrustedProxies } from '../../options/trusted-proxies.ts';
import type { CountedRows } from '../master-link/counted-rows.ts';
import { RowFlag, type ConnectionTable } from '../rows/connection-table.ts';
import type { Draining } from '../rows/draining.ts';
import { applyForwardedFor } from './forwarded-for.ts';
import { REFUSALS, type Refusal } from './refusals.ts';

export interface UpgradeGuardsParts {
  readonly table: ConnectionTable;
  readonly counters: Counters;
  readonly trustedProxies: TrustedProxies;
  readonly allowedOrigins: AllowedOrigins;
  readonly countedRows: Pick<CountedRows, 'admit'>;
  readonly draining: Draining;
}

/** What an upgrade must pass before the apps are asked. */
export class UpgradeGuards {
  readonly #table: ConnectionTable;
  readonly #counters: Counters;
  readonly #trustedProxies: TrustedProxies;
  readonly #allowedOrigins: AllowedOrigins;
  readonly #countedRows: UpgradeGuardsParts['countedRows'];
  readonly #draining: Draining;

  constructor(parts: UpgradeGuardsParts) {
    this.#table = parts.table;
    this.#counters = parts.counters;
    this.#trustedProxies = parts.trustedProxies;
    this.#allowedOrigins = parts.allowedOrigins;
    this.#countedRows = parts.countedRows;
    this.#draining = parts.draining;
  }

  /** Gives the row the address of the client that a trusted proxy names. Answers why the client may not come in, if so. */
  refusalOf(slot: number, head: RequestHead): Refusal | undefined {
    const table = this.#table;
    if (this.#trustedProxies.isTrusted(table.addresses, table.addressOffset(slot))) {
      applyForwardedFor(
        { table, trustedProxies: this.#trustedProxies, counters: this.#counters },
        slot,
        head.headers,
      );
    }
    if (this.#draining.isDraining) return REFUSALS.draining;
    if (table.hasFlag(slot, RowFlag.reserved)) return REFUSALS.noPlace;
    if (!this.#allowedOrigins.isAllowed(head)) return REFUSALS.originNotAllowed;
    // The limits of peers were the master's.
    if (!table.hasFlag(slot, RowFlag.proxied)) return undefined;
    switch (this.#countedRows.admit(slot)) {
      case 'connections':
        return REFUSALS.addressConnections;
      case 'rate':
        return REFUSALS.addressRate;
      case 'untracked':
        this.#counters.add('addresses_untracked');
        return undefined;
      default:
        return undefined;
    }
  }
}
