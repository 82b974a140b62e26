// Everybody at /<user> is a member of the channel "room", and is sent the process id of the worker.
export default (context) => ({
  name: 'members',
  occupancy: true,
  upgrade: ({ path }) => ({ kind: 'accept', attachment: path.slice(1) }),
  open: (connection) =>
    context.join(connection, {
      channel: 'room',
      member: { user: connection.attachment, info: '{}', maxMembers: 100 },
      welcome: () => String(process.pid),
    }),
});
