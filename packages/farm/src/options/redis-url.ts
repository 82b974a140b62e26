/** The broker's own check of its URL, for whoever configures a farm. */
export { REDIS_URL_ALLOWED, redisUrlProblem } from '@roost/broker';
