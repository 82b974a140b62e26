import { parseAllDocuments } from 'yaml';

/** An object as Kubernetes wants it, of whatever kind, with the fields that the specs look at. */
export interface Manifest {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly labels?: Readonly<Record<string, string>> };
  readonly spec?: Spec;
}

interface Spec {
  readonly ports?: readonly object[];
  readonly selector?: { readonly matchLabels?: Readonly<Record<string, string>> };
  /** Of a Deployment. */
  readonly template?: { readonly spec: PodSpec };
  /** Of a ServiceMonitor. */
  readonly jobLabel?: string;
  readonly endpoints?: readonly object[];
}

interface PodSpec {
  readonly terminationGracePeriodSeconds: number;
  readonly enableServiceLinks: boolean;
  readonly containers: readonly Container[];
}

export interface Container {
  readonly args: readonly string[];
  readonly env: readonly {
    readonly name: string;
    readonly value?: string;
    readonly valueFrom?: { readonly secretKeyRef?: { readonly name: string; readonly key: string } };
  }[];
  readonly ports: readonly { readonly name: string; readonly containerPort: number }[];
  readonly lifecycle: { readonly preStop: { readonly sleep: { readonly seconds: number } } };
  readonly startupProbe: Probe;
  readonly livenessProbe: Probe;
  readonly readinessProbe: Probe;
}

export interface Probe {
  readonly httpGet?: { readonly path: string; readonly port: string; readonly scheme?: string };
  readonly exec?: { readonly command: readonly string[] };
}

/** Throws for what is not YAML. */
export function manifestsIn(text: string): Manifest[] {
  return parseAllDocuments(text).flatMap((document) => {
    if (document.errors[0] !== undefined) throw document.errors[0];
    const manifest: Manifest | null = document.toJS();
    return manifest === null ? [] : [manifest];
  });
}

export function ofKind(manifests: readonly Manifest[], kind: string): Manifest[] {
  return manifests.filter((manifest) => manifest.kind === kind);
}

/** The pod of the one Deployment, with its container. */
export function podOf(manifests: readonly Manifest[]): PodSpec & { readonly container: Container } {
  const pod = ofKind(manifests, 'Deployment')[0]?.spec?.template?.spec;
  const container = pod?.containers[0];
  if (pod === undefined || container === undefined)
    throw new Error('There is no Deployment with a container.');
  return { ...pod, container };
}
