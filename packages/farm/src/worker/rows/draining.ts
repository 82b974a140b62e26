/** Whether the farm drains. From then on upgrades are refused, and HTTP connections end with their response. */
export class Draining {
  isDraining = false;
}
