// Looks names up now and then, by libuv's thread pool (dns.lookup) and by c-ares (dns.resolve4), with a session that is asked in
// between. Complains with `error ...`.
'use strict';
const dns = require('dns');
const net = require('net');

const complain = (what) => (error) => { if (error) console.log(`error: ${what}: ${error.code}`); };
const session = net.connect(7000, '127.0.0.1');
let asked = 0, answered = 0, round = 0;
session.on('data', (data) => { answered += data.length; });
session.on('error', complain('session'));
session.on('close', () => console.log('error: the session has ended'));

setInterval(() => {
    // As many as the pool has threads, so that each gets its share.
    for (let i = 0; i < 4; i++) dns.lookup(`pool${(round + i) % 8}.example`, { family: 4 }, complain('lookup'));
    dns.resolve4('ares.example', complain('resolve4'));
    if (answered !== asked) console.log('error: the session does not answer');
    session.write('there\n');
    asked += 6;
    round++;
}, 200);
