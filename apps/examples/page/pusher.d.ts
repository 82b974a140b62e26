/** What /pusher.min.js defines for the page. */
declare const Pusher: typeof import('pusher-js').default;
