import { installLeakChecks } from '@roost/testing';
import { afterAll } from 'vitest';

installLeakChecks(afterAll);
