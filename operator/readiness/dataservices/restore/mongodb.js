// What a server holds, as one line of JSON: documents of each collection, digests of some of them, one digest of how
// collections and their indexes are declared, and how many users there are. The same looks at a dump when it is verified,
// at a restore drill, and at both sides of a restore; so equal content gives equal lines.
const {createHash} = require('crypto');
const {existsSync, readFileSync} = require('fs');
const SAMPLES = 34, LONGEST = 256;
const wanted = process.env.WANTED;                 // a file with the samples to be looked at again
const live = process.env.LIVE === '1';             // documents may come to their end here
const digest = (content) => createHash('sha256').update(content).digest('hex');
const text = (value) => EJSON.stringify(value, {relaxed: false});
const hex = (words) => Buffer.from(words).toString('hex');
const hidden = (name) => name.startsWith('system.');

function declared(database, info) {
  const {uuid, ...options} = {...info.options, uuid: ''};
  const indexes = info.type === 'view' ? [] : database.getCollection(info.name).getIndexes();
  const kept = indexes.map(({v, ns, background, ...rest}) => rest).sort((a, b) => (a.name < b.name ? -1 : 1));
  return {of: `${database.getName()}.${info.name}`, type: info.type, options, indexes: kept};
}

// The first, some in the middle and the last of them, in the order of their _id; none whose _id nobody could say.
function chosen(collection, count) {
  const only = () => collection.find({}, {_id: 1});
  const some = [only().sort({_id: 1}), only().sort({_id: 1}).skip(Math.floor(count / 2)), only().sort({_id: -1})];
  const keys = some.flatMap((cursor) => cursor.limit(SAMPLES).toArray()).map(({_id}) => hex(text(_id)));
  return [...new Set(keys)].filter((key) => key.length <= 2 * LONGEST);
}

// Of a time series, whose documents have no _id of their own, from when to when it reaches.
function reach(collection, of, field) {
  const span = {_id: null, from: {$min: `$${field}`}, to: {$max: `$${field}`}};
  return collection.aggregate([{$group: span}]).toArray().map((found) => ({of, key: hex(field), digest: digest(text(found))}));
}

function sampled(collection, of, keys) {
  return keys.flatMap((key) => {
    const found = collection.findOne({_id: EJSON.parse(Buffer.from(key, 'hex').toString(), {relaxed: false})});
    return found ? [{of, key, digest: digest(text(found))}] : [];
  });
}

db = connect(process.env.STORE);
const asked = wanted && existsSync(wanted) ? JSON.parse(readFileSync(wanted)) : null;
const tallies = [], samples = [], declarations = [];
for (const {name} of db.adminCommand({listDatabases: 1, nameOnly: true}).databases.filter(({name}) => !['local', 'config'].includes(name))) {
  const database = db.getSiblingDB(name);
  for (const info of database.getCollectionInfos().filter(({name}) => !hidden(name))) {
    const collection = database.getCollection(info.name), here = declared(database, info), {of} = here;
    declarations.push(text(here));
    if (info.type === 'view') continue;
    const count = collection.countDocuments({});
    const ends = live && here.indexes.some((index) => 'expireAfterSeconds' in index);
    tallies.push({name: of, count, volatile: ends ? count : 0});
    if (ends) continue;
    if (info.type === 'timeseries') {
      samples.push(...reach(collection, of, info.options.timeseries.timeField));
      continue;
    }
    const keys = asked ? asked.filter((each) => each.of === of).map(({key}) => key) : chosen(collection, count);
    samples.push(...sampled(collection, of, keys));
  }
}
const users = live ? 0 : db.getSiblingDB('admin').getCollection('system.users').countDocuments({});
const indexes = declarations.length ? digest(declarations.sort().join('\n')) : '';
print(JSON.stringify({tool: `mongod ${db.version()}`, tallies, samples, indexes, users}));
