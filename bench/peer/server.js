// The same walk the way most USSD back ends are written: Express, ioredis, ussd-menu-builder.
// It is given every advantage: constant screens, no database on the way, no sealing, no limits,
// no log. Environment: PORT, REDIS_URL, DATABASE_URL, WALK (path of walk.json).
'use strict';

const crypto = require('node:crypto');
const fs = require('node:fs');
const express = require('express');
const Redis = require('ioredis');
const pg = require('pg');
const UssdMenu = require('ussd-menu-builder');

const KEEP_SECONDS = 48 * 3600;
const walk = JSON.parse(fs.readFileSync(process.env.WALK, 'utf8'));
const redis = new Redis(process.env.REDIS_URL);
const pool = new pg.Pool({ connectionString: process.env.DATABASE_URL, max: 10 });

// state of the menu to the place of its screen in the walk; the prefix is the library's to add
const screen = (place, phone) => {
  const name = walk.names[Number(phone.slice(5)) % walk.names.length];
  return walk.hops[place].screen.slice(4).replace('{name}', name);
};
const NEXT = {
  home: { next: { 1: 'covers' } },
  covers: { next: { 1: 'sums' } },
  sums: { next: { 1: 'quote' } },
  quote: {},
};

// A menu holds the request it answers (args, val, resolve), so a shared one mixes up callers as
// soon as a session store is asynchronous: one menu a request is the only right way to use it.
function menuFor() {
  const menu = new UssdMenu();
  menu.sessionConfig({
    start: (id) => redis.get(`peer:${id}`),
    get: (id) => redis.get(`peer:${id}`),
    set: (id, key, value) => redis.set(`peer:${id}`, value, 'EX', KEEP_SECONDS),
    end: (id) => redis.del(`peer:${id}`),
  });
  menu.startState({ next: { '': 'home' } });
  Object.entries(NEXT).forEach(([name, { next }], place) => {
    menu.state(name, {
      next,
      run: async () => {
        await menu.session.set('state', name);
        menu.con(screen(place, menu.args.phoneNumber));
      },
    });
  });
  return menu;
}

const app = express();
app.disable('x-powered-by');
app.disable('etag');

app.get('/health/live', (request, response) => response.sendStatus(200));

app.post('/ussd', express.urlencoded({ extended: false }), async (request, response) => {
  const said = await menuFor().run(request.body);
  response.type('text/plain').send(said);
});

app.post('/callbacks', express.json(), async (request, response) => {
  await pool.query({
    name: 'store',
    text: `insert into bench_callbacks (id, key, body, received_at) values ($1, $2, $3, $4)
           on conflict (key) do nothing`,
    values: [
      crypto.randomUUID(),
      request.body.Result.ConversationID,
      Buffer.from(JSON.stringify(request.body)),
      new Date(),
    ],
  });
  response.json({ ResultCode: 0, ResultDesc: 'Accepted' });
});

app.get('/farmers/:id', async (request, response) => {
  const found = await pool.query({
    name: 'find',
    text: 'select id, language, ward_code, created_at from farmers where id = $1',
    values: [request.params.id],
  });
  if (found.rows.length === 0) return response.sendStatus(404);
  return response.json(found.rows[0]);
});

app.post('/farmers', express.json(), async (request, response) => {
  const id = crypto.randomUUID();
  const { phone, name, national_id: nationalId, language, ward_code: ward } = request.body;
  await pool.query({
    name: 'add',
    text: `insert into bench_farmers (id, phone, name, national_id, language, ward_code, created_at)
           values ($1, $2, $3, $4, $5, $6, $7)`,
    values: [id, phone, name, nationalId, language, ward, new Date()],
  });
  response.status(201).json({ id });
});

app.listen(Number(process.env.PORT), '127.0.0.1');
