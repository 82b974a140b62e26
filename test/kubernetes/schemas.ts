import { ServiceMonitor } from '@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1';
import { Deployment } from 'kubernetes-models/apps/v1';
import { NetworkPolicy } from 'kubernetes-models/networking.k8s.io/v1';
import { PodDisruptionBudget } from 'kubernetes-models/policy/v1';
import { Service } from 'kubernetes-models/v1';
import type { Manifest } from './manifests.ts';

interface Model {
  validate(): void;
}

/** The kinds that we use, with the schemas that Kubernetes and the Prometheus Operator publish. */
const KINDS = new Map<string, new (manifest: never) => Model>([
  ['apps/v1 Deployment', Deployment],
  ['networking.k8s.io/v1 NetworkPolicy', NetworkPolicy],
  ['policy/v1 PodDisruptionBudget', PodDisruptionBudget],
  ['v1 Service', Service],
  ['monitoring.coreos.com/v1 ServiceMonitor', ServiceMonitor],
]);

/** What is wrong with a manifest: the sentences of the schema, and the paths of fields that the schema does not have. */
export function problemsOf(manifest: Manifest): string[] {
  const kind = `${manifest.apiVersion} ${manifest.kind}`;
  const KnownKind = KINDS.get(kind);
  if (KnownKind === undefined) return [`${kind}: there is no schema of it in test/kubernetes/schemas.ts.`];
  const seen = new Set<string>();
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- whether it is one is what we want to know.
  const model = new KnownKind(manifest as never);
  try {
    model.validate.call(watched(model, '', seen));
  } catch (error) {
    return [error instanceof Error ? error.message : String(error)];
  }
  return pathsOf(manifest, '')
    .filter((path) => !seen.has(path))
    .map((path) => `${kind} ${manifest.metadata.name} has no field ${path}.`);
}

/**
 * The schemas let unknown fields pass, as an older Kubernetes does, and a misspelt one would be silently ignored. But a
 * validator reads every field that its schema knows: what it has not read is unknown.
 */
function watched<T extends object>(value: T, path: string, seen: Set<string>): T {
  return new Proxy(value, {
    get(target, key) {
      const found: unknown = Reflect.get(target, key);
      if (typeof key !== 'string') return found;
      const own = `${path}/${key}`;
      seen.add(own);
      return typeof found === 'object' && found !== null ? watched(found, own, seen) : found;
    },
  });
}

function pathsOf(value: unknown, path: string): string[] {
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([key, inner]) => {
    const own = `${path}/${key}`;
    return [own, ...pathsOf(inner, own)];
  });
}
