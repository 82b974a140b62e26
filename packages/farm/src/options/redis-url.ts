/** The broker's own check of its URL, for the configuration of a farm. */
export { REDIS_URL_ALLOWED, redisUrlProblem } from '@roost/broker';
