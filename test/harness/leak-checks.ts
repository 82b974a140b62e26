import { installLeakChecks } from '@roost/testing';
import { aroundAll, beforeEach } from 'vitest';

installLeakChecks({ aroundAll, beforeEach });
