// Names the member to be dumped, and its release: a secondary that is at most ten seconds behind, else the primary.
// A server that is of no set has no oplog, and a mongos leads to several. hello and buildInfo are answered to anybody, so no password is needed here.
const BEHIND = 10_000;
const secure = process.env.TLS ? `&tls=true${process.env.TRUST ? `&tlsCAFile=${process.env.TRUST}` : ''}` : '';
const asked = (admin, command) => {
  try {
    return admin.runCommand(command);
  } catch {
    return {};
  }
};
const looks = process.env.MEMBERS.split(' ').flatMap((host) => {
  try {
    const uri = `mongodb://${host}/?directConnection=true&serverSelectionTimeoutMS=5000&connectTimeoutMS=5000${secure}`;
    const admin = new Mongo(uri).getDB('admin');
    return [{host, hello: admin.runCommand({hello: 1}), version: asked(admin, {buildInfo: 1}).version || ''}];
  } catch {
    return [];
  }
});
const written = ({hello}) => (hello.lastWrite ? hello.lastWrite.lastWriteDate.getTime() : 0);
const newest = Math.max(0, ...looks.map(written));
const found =
  looks.find((look) => look.hello.secondary && newest - written(look) <= BEHIND) ||
  looks.find((look) => look.hello.setName && look.hello.isWritablePrimary);
if (found) print(`${found.host} ${found.version}`);
