BEGIN TRANSACTION;
CREATE TABLE `mailbox_sides`
(
 `mailbox_id` REFERENCES `mailboxes`(`id`),
 `opened` BOOLEAN, -- True after open(), False after close()
 `side` VARCHAR,
 `added` INTEGER, -- time when this side first opened the mailbox
 `mood` VARCHAR
);
INSERT INTO "mailbox_sides" VALUES('7ghivyp256spc',1,'44407b787c',1.7954257230328433514e+09,NULL);
INSERT INTO "mailbox_sides" VALUES('obj3xw5rae4gi',1,'ec22645eb6',1.79542572305297112467e+09,NULL);
INSERT INTO "mailbox_sides" VALUES('ismbvrzi34iow',1,'d42b7c0466',1.79542572307602190965e+09,NULL);
INSERT INTO "mailbox_sides" VALUES('uav4r6vyju5ae',1,'5cddb237cd',1.79542572308064126967e+09,NULL);
INSERT INTO "mailbox_sides" VALUES('uav4r6vyju5ae',1,'51e1972f4c',1.79542572541825842854e+09,NULL);
INSERT INTO "mailbox_sides" VALUES('7ghivyp256spc',1,'76eb2757e5',1.79542572542751574515e+09,NULL);
CREATE TABLE `mailboxes`
(
 `app_id` VARCHAR,
 `id` VARCHAR PRIMARY KEY,
 `updated` INTEGER, -- time of last activity, used for pruning
 `for_nameplate` BOOLEAN -- allocated for a nameplate, not standalone
);
INSERT INTO "mailboxes" VALUES('lothar.com/wormhole/text-or-file-xfer','7ghivyp256spc',1.79542572546788668634e+09,1);
INSERT INTO "mailboxes" VALUES('lothar.com/wormhole/text-or-file-xfer','obj3xw5rae4gi',1.79542572315223097805e+09,1);
INSERT INTO "mailboxes" VALUES('lothar.com/wormhole/text-or-file-xfer','ismbvrzi34iow',1.79542572317128610605e+09,1);
INSERT INTO "mailboxes" VALUES('lothar.com/wormhole/text-or-file-xfer','uav4r6vyju5ae',1.79542572548131704329e+09,1);
CREATE TABLE `messages`
(
 `app_id` VARCHAR,
 `mailbox_id` VARCHAR,
 `side` VARCHAR,
 `phase` VARCHAR, -- numeric or string
 `body` VARCHAR,
 `server_rx` INTEGER,
 `msg_id` VARCHAR
);
INSERT INTO "messages" VALUES('lothar.com/wormhole/text-or-file-xfer','7ghivyp256spc','44407b787c','pake','7b2270616b655f7631223a2022353361396131636261666262666531343666393338663864363661346632336535646166346138663462336165336235303066323364653963653139383461623039227d',1.79542572310224556918e+09,'3c0b');
INSERT INTO "messages" VALUES('lothar.com/wormhole/text-or-file-xfer','obj3xw5rae4gi','ec22645eb6','pake','7b2270616b655f7631223a2022353339303933333934313865633331366339383865393432373439393931383033336665393764313330386136616430666234326563353261343462303335613333227d',1.79542572315223097805e+09,'1949');
INSERT INTO "messages" VALUES('lothar.com/wormhole/text-or-file-xfer','ismbvrzi34iow','d42b7c0466','pake','7b2270616b655f7631223a2022353362656231383266313330623266666163393263636666633835326230373936393330616261343539346137333863303532653666623662643332366163356239227d',1.79542572317128610605e+09,'1a6d');
INSERT INTO "messages" VALUES('lothar.com/wormhole/text-or-file-xfer','uav4r6vyju5ae','5cddb237cd','pake','7b2270616b655f7631223a2022353335313266383135383234353631646431626431303361663164666332643565363130656537643962313038353836303730616136383630383233663831633963227d',1.79542572317653393743e+09,'0da0');
INSERT INTO "messages" VALUES('lothar.com/wormhole/text-or-file-xfer','uav4r6vyju5ae','51e1972f4c','pake','7b2270616b655f7631223a2022353338636638303536646139656131613933393937303231626537356337636163663637383630666438643736326261366539636335653130653436623235303231227d',1.79542572543420910838e+09,'0665');
INSERT INTO "messages" VALUES('lothar.com/wormhole/text-or-file-xfer','7ghivyp256spc','76eb2757e5','pake','7b2270616b655f7631223a2022353334333737323561653037663163386530383331636430303533623262303332616539616437313865643838663537656462653635666165333039666164363465227d',1.79542572544214725492e+09,'30b5');
INSERT INTO "messages" VALUES('lothar.com/wormhole/text-or-file-xfer','uav4r6vyju5ae','51e1972f4c','version','f2c60bf3c115fcf6036e29d228775c06d5d5f8f86649ff9fb50a6345c010c23a2924802a5aa67e095c7a9197cdfc6c953d70a89c44be90f6cc16f781',1.79542572544369196893e+09,'9086');
INSERT INTO "messages" VALUES('lothar.com/wormhole/text-or-file-xfer','7ghivyp256spc','76eb2757e5','version','e3f554e0ea815c7e25ba72d92f2fd931be558da4cb470e1ee0ebec68b258a85fabc1eb24f33ed7d1898f3deea21ad327942e6261244c85ccdde9389e',1.79542572545986890792e+09,'06bf');
INSERT INTO "messages" VALUES('lothar.com/wormhole/text-or-file-xfer','7ghivyp256spc','44407b787c','version','fbbca987b9216bbec8f30ded6346f251ed083e28c600da12a5344a00d0d98a0ee43eacf79f40c0cb125cd92cd8e455b5839bc216031e66ff02eff169',1.79542572546788668634e+09,'498b');
INSERT INTO "messages" VALUES('lothar.com/wormhole/text-or-file-xfer','uav4r6vyju5ae','5cddb237cd','version','6afc314b9ff501cb5a9ab0ade9356a9177399cac766c304f859fa85eae9d1d07614ee88570648a753238fcacfc3bc1f09bf4476ea58c0368a74fc744',1.79542572547667217256e+09,'6d80');
INSERT INTO "messages" VALUES('lothar.com/wormhole/text-or-file-xfer','uav4r6vyju5ae','5cddb237cd','0','eb8b68dcf9723fd52a85bd7493a1c11fd048a45b08606f3884eafb0cd1b7c61f446121e86b8bc905c3159da4eb43f153a38c730508c088a3edd597490ec13673d841aa0480ec28e09a1cf3b8249f157b',1.79542572548131704329e+09,'9c6f');
CREATE TABLE `nameplate_sides`
(
 `nameplates_id` REFERENCES `nameplates`(`id`),
 `claimed` BOOLEAN, -- True after claim(), False after release()
 `side` VARCHAR,
 `added` INTEGER -- time when this side first claimed the nameplate
);
INSERT INTO "nameplate_sides" VALUES(2,1,'ec22645eb6',1.79542572305297112467e+09);
INSERT INTO "nameplate_sides" VALUES(3,1,'d42b7c0466',1.79542572307602190965e+09);
CREATE TABLE `nameplates`
(
 `id` INTEGER PRIMARY KEY AUTOINCREMENT,
 `app_id` VARCHAR,
 `name` VARCHAR,
 `mailbox_id` VARCHAR REFERENCES `mailboxes`(`id`),
 `request_id` VARCHAR -- from 'allocate' message, for future deduplication
);
INSERT INTO "nameplates" VALUES(2,'lothar.com/wormhole/text-or-file-xfer','2','obj3xw5rae4gi',NULL);
INSERT INTO "nameplates" VALUES(3,'lothar.com/wormhole/text-or-file-xfer','3','ismbvrzi34iow',NULL);
CREATE TABLE `version`
(
 `version` INTEGER -- contains one row, set to 1
);
INSERT INTO "version" VALUES(1);
CREATE INDEX `nameplates_idx` ON `nameplates` (`app_id`, `name`);
CREATE INDEX `nameplates_mailbox_idx` ON `nameplates` (`app_id`, `mailbox_id`);
CREATE INDEX `nameplates_request_idx` ON `nameplates` (`app_id`, `request_id`);
CREATE INDEX `mailboxes_idx` ON `mailboxes` (`app_id`, `id`);
CREATE INDEX `messages_idx` ON `messages` (`app_id`, `mailbox_id`);
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('nameplates',8);
COMMIT;
