/**
 * What debugfs 1.47.0 (e2fsprogs) says about 30 names: the output of
 *   dx_hash -h VERSION [-s SEED] NAME
 * with VERSION 0 to 5. A name is Latin-1 text, one character a byte; "" is the seed of all zeros.
 */

/** name, seed, and for each version the major and the minor hash. */
export type HashVector = readonly [name: string, seed: string, hashes: readonly number[]];

export const HASH_VECTORS: readonly HashVector[] = [
  [
    "a",
    "46f3d79c-5d46-4e46-8720-d2d6de6e6827",
    [
      0xe74b53e2, 0x0, 0xee4a623c, 0xb3ae79d2, 0xf848b5da, 0x326fd056, 0xe74b53e2, 0x0, 0xee4a623c,
      0xb3ae79d2, 0xf848b5da, 0x326fd056,
    ],
  ],
  [
    "BSD",
    "c91754f6-9742-419a-8342-3abcb6a81e89",
    [
      0x6279bd12, 0x0, 0xd22d53ac, 0x184954d9, 0x4637d6fe, 0x563a99de, 0x6279bd12, 0x0, 0xd22d53ac,
      0x184954d9, 0x4637d6fe, 0x563a99de,
    ],
  ],
  [
    "hello",
    "ffffffff-0000-0000-0000-000000000001",
    [
      0x32252546, 0x0, 0xbbf37804, 0x5fafd7dc, 0xcaada0f4, 0xfa0596c1, 0x32252546, 0x0, 0xbbf37804,
      0x5fafd7dc, 0xcaada0f4, 0xfa0596c1,
    ],
  ],
  [
    "\xff",
    "",
    [
      0x49ba183e, 0x0, 0x4421bc04, 0x2974faeb, 0xb7e8b4ec, 0x98edfcfe, 0x6b842a40, 0x0, 0xd77d96d6,
      0xcafda2d2, 0xc6854b30, 0xfaee7448,
    ],
  ],
  [
    "na\xc3\xafve-\xe5\x90\x8d\xe5\x89\x8d",
    "46f3d79c-5d46-4e46-8720-d2d6de6e6827",
    [
      0xd0600cac, 0x0, 0x36dd00b8, 0x28fd4bf2, 0xdc8a777e, 0xae0a8961, 0x9a4f1eb6, 0x0, 0xeae45ac0,
      0xaead64c3, 0x244caf28, 0xb3601816,
    ],
  ],
  [
    "0123456789abcdef",
    "c91754f6-9742-419a-8342-3abcb6a81e89",
    [
      0x415c16fe, 0x0, 0x980bb4ca, 0xe0a46eab, 0x24744fb4, 0x62ef7e0f, 0x415c16fe, 0x0, 0x980bb4ca,
      0xe0a46eab, 0x24744fb4, 0x62ef7e0f,
    ],
  ],
  [
    "0123456789abcdefg",
    "ffffffff-0000-0000-0000-000000000001",
    [
      0xfa356a68, 0x0, 0x4c9d6880, 0xf879f6f4, 0xfe20916e, 0x9816704f, 0xfa356a68, 0x0, 0x4c9d6880,
      0xf879f6f4, 0xfe20916e, 0x9816704f,
    ],
  ],
  [
    "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
    "",
    [
      0xa365191c, 0x0, 0x415798c2, 0xe25911d8, 0x85384aa4, 0x3bd016f2, 0xa365191c, 0x0, 0x415798c2,
      0xe25911d8, 0x85384aa4, 0x3bd016f2,
    ],
  ],
  [
    "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
    "46f3d79c-5d46-4e46-8720-d2d6de6e6827",
    [
      0xccf8e87c, 0x0, 0x3ffe0e18, 0x7bacaa9f, 0x5ede78e8, 0xb224adb3, 0xccf8e87c, 0x0, 0x3ffe0e18,
      0x7bacaa9f, 0x5ede78e8, 0xb224adb3,
    ],
  ],
  [
    "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
    "c91754f6-9742-419a-8342-3abcb6a81e89",
    [
      0x4e0d46ea, 0x0, 0xdfdc5d66, 0xca40fed, 0xae366422, 0xddc85891, 0x4e0d46ea, 0x0, 0xdfdc5d66,
      0xca40fed, 0xae366422, 0xddc85891,
    ],
  ],
  [
    "\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80",
    "ffffffff-0000-0000-0000-000000000001",
    [
      0x19250176, 0x0, 0xc66379fa, 0x7e0f2c41, 0x17501dba, 0x753b3ee9, 0xaa2b6f08, 0x0, 0x7abbe394,
      0x800b7b61, 0x79120778, 0x81737980,
    ],
  ],
  [
    "zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz",
    "",
    [
      0xf94f0890, 0x0, 0x3b4d55ea, 0xa08c3c2e, 0x22547932, 0xf01206ff, 0xf94f0890, 0x0, 0x3b4d55ea,
      0xa08c3c2e, 0x22547932, 0xf01206ff,
    ],
  ],
  [
    "makefile.in~",
    "46f3d79c-5d46-4e46-8720-d2d6de6e6827",
    [
      0xf63a25a6, 0x0, 0xa13b9bf8, 0xf595922a, 0x1f7fc664, 0xad33555d, 0xf63a25a6, 0x0, 0xa13b9bf8,
      0xf595922a, 0x1f7fc664, 0xad33555d,
    ],
  ],
  [
    "\x94c",
    "c91754f6-9742-419a-8342-3abcb6a81e89",
    [
      0xc7b442d2, 0x0, 0x7df772bc, 0x65f12d9a, 0x256b8952, 0xb050fa1, 0xc3ee5cd4, 0x0, 0x65affe10,
      0xb4800ce2, 0xa795fc0, 0x7a44126,
    ],
  ],
  [
    "\xa7\xe8CI",
    "ffffffff-0000-0000-0000-000000000001",
    [
      0x24ec1446, 0x0, 0x1ad0cb8c, 0x10179528, 0xcdc5c19a, 0xf3da23a1, 0x6b65ea84, 0x0, 0x9c49a326,
      0x3faaa25e, 0xb0235b00, 0x50659428,
    ],
  ],
  [
    "\xcbO\x9f\xd7E\xc3s",
    "",
    [
      0xd11c83fc, 0x0, 0x977f135a, 0x5f8ee897, 0x173f3cda, 0xee5698ca, 0x30ecabf2, 0x0, 0x1c37ed96,
      0xfd4cfe0f, 0x4999c0fa, 0xa926ec56,
    ],
  ],
  [
    "9M\xb1\xadHzN\xcf",
    "46f3d79c-5d46-4e46-8720-d2d6de6e6827",
    [
      0x1b83f5a4, 0x0, 0xf94adf12, 0x7323be1f, 0x6664ddf2, 0x44f730f3, 0xc3f321aa, 0x0, 0x4701458e,
      0x12c9023, 0x79534154, 0x2b96dd23,
    ],
  ],
  [
    "\xaeF\xd2Vv\xe3\xe2\xd7F\xd5\xd7\xa7CuB",
    "c91754f6-9742-419a-8342-3abcb6a81e89",
    [
      0x45e3d604, 0x0, 0x61959fb0, 0x13bebd6e, 0x98aeecae, 0xc7ff90df, 0x8790816, 0x0, 0x7859910c,
      0x774c74a5, 0x91516708, 0x57d8fee2,
    ],
  ],
  [
    "\xd0Y\x8c\xada\xccU\xd4\x90\xd1\xf0kQ\xd6\xd4\xe5m\xa1O\xce",
    "ffffffff-0000-0000-0000-000000000001",
    [
      0xfa88ba46, 0x0, 0xdc1f84e8, 0x1cf80fa1, 0x48742224, 0x5e5d0d18, 0xd31c4860, 0x0, 0xac444ce8,
      0x66b2e6f6, 0x7d702eec, 0xfdbb3e36,
    ],
  ],
  [
    "\xf8G\xd2F\xe0q\xc1\xf0\xca\xaf\x92\xb9\xd7\xb6\x9e\x8e\x81k\xf4\x80K\xd5\x8e\xc8\xc0\x99\xfc\xb4\x8b\xddIU\xc5\xadg\x99c\xbf\xadA\xedJ\xd0\xd4\x92\x99\xf3",
    "",
    [
      0x134eb4e, 0x0, 0xa5586100, 0xca825561, 0x69ba12a4, 0xa067b17b, 0xd9976012, 0x0, 0x9037f424,
      0x20554462, 0xbe603076, 0x64bc751c,
    ],
  ],
  [
    "\x9b\xda\xc1\xd6\xb6HN\x87\xbb\xf4\xecGF\xfd\xf5\x91\xe7\xd5\xf0\xb4\x8a\xf9\xa4\xed\x9a5\xb8\x9ch\xdeT\xc0Ft\x8bX\xff\x81\xa7\xa6\xc1Kg\xb4\xa8\xce\x89Z",
    "46f3d79c-5d46-4e46-8720-d2d6de6e6827",
    [
      0x1eb5dffc, 0x0, 0xb75cb442, 0xc51be6e5, 0x46e1d54c, 0x3e1d7421, 0x55904692, 0x0, 0xd81b15a0,
      0x1e471c8, 0xc592520a, 0x57a9de9d,
    ],
  ],
  [
    "\xb0\xce\x89\xf6\xac\x9d\xf0\xa3xcLjcx\xeax3\xbe\xd8k\x85\x8a1b\xad\xca\xa0\xde\xd2\x93W\xf2\xc5\xe0\xe9\xef\xffD\xb6\xf0\xd1\xa6\xa7\xa8\xa6Q\xbd\xe4\xa8FmHr\xb2fS\x99\xdbDQ0\xd3c",
    "c91754f6-9742-419a-8342-3abcb6a81e89",
    [
      0x2016b12e, 0x0, 0xfac1ea5a, 0x22be1bf0, 0xd3ff6308, 0xb179e01d, 0xb9fb7638, 0x0, 0x24cb5be,
      0x4d871003, 0xc26926ca, 0x1eba57fe,
    ],
  ],
  [
    "\xcbP\x9f\xdf6Ir\xdf\xa2c\xe4\x82\x9a\xdc\x9f\xbbVT\xbe\xb9\xbc\xbd\x91LaQ\x99\xff\x85\xbc\xf3f\xc65q\xc9\x9eb\xf2\xcd6\xc9\x8e\xe6N\xf4\x84\xc6\x9fg\x9dv\xca\xcc\xc2\x96\xe4v\xdenz\xa8\xffw",
    "ffffffff-0000-0000-0000-000000000001",
    [
      0xd4bbfb0c, 0x0, 0x3e9e38cc, 0x23a22c21, 0x9e0d906, 0x316e32d7, 0xbf7f8fb4, 0x0, 0x70a48e1e,
      0x48f2c4d0, 0xdc5b6a72, 0x7131b874,
    ],
  ],
  [
    "p\xc6\xc0\x9d\xfd77\x89\xba\x84n\xf3\xdc\x9a\xb4\xfb\x9b\x9fKuQw\xbao\x98q\xbd\xe1\xde0\xbc\xe9\x9a\xe6L\xebU\xa5\xf8p\xbcj\xb1\xe4\x97M\xfa\xa7\xb8\xa8L\xfbehW7c\xd9\xb9\xe9b\xde\xda\xbb\xea",
    "",
    [
      0xa66b6b54, 0x0, 0x757fc4ae, 0x1f32c2ed, 0xdb7c5b12, 0x9fe8b64c, 0x9fef7cd6, 0x0, 0x24215948,
      0x980abb3c, 0x5984c36a, 0xd7736158,
    ],
  ],
  [
    "\x9bd\xce\xceX53\xfb\xe8Q\xc8Z\xb1ns7\x82s\x8c\xc2z\xd8\x95\x84\xcd\xadXF\xff\x9c\xb7\xeb\xd7\xc6\xad\xc2X\xcac\xc8\xc44\xb2k\xdd1cia\xbb\xe0\xfbU\xd0F\x95\xf0\xc6\xc9\xd0\xbdR\xd1E\x81m\x88AP\xc3\xb5\xd17G\xb3\x95\xde\xc3\xdd\xc5p\xf3\x88\xb5\xc4\xca\xbc\xc3\x81\xf4\xc7\x84\xd1p\xb4Z",
    "46f3d79c-5d46-4e46-8720-d2d6de6e6827",
    [
      0x8df4eb3c, 0x0, 0x9ecf093a, 0xa7665d5c, 0x2e35f76c, 0x5ff0d2b2, 0x6b573b52, 0x0, 0x5c813738,
      0xbf41624, 0x64d04910, 0xb6e0909f,
    ],
  ],
  [
    "\xacV\xa6\xb3\x92I\xedz\xafIs\xed\x8fVd\xf9\xe6\xeb\x9fa\x82Z\xb9uO\xa7\xbef\xecvf\xf6\xb0\xc5\xa9\x98\xado\x9d\x93N\xfa\x9f4\x98\xcf\xb7\xb2\xf64\xa4\x96\xc6\xe1\x8d\xc5GSwQL\x85\x87Ak\x87X\xae\xef\x84\xa9c\xcb\xc5\xd4\xc0\xf5\x95M\x89E\xf2k\xaeI\x864\xe4M\x84L\xdduH\x85V\xb62\x98\xcf",
    "c91754f6-9742-419a-8342-3abcb6a81e89",
    [
      0xc1345b8a, 0x0, 0xbec21ab0, 0xa76c5a91, 0x7d5384c0, 0xaf45a0de, 0xd819b9c2, 0x0, 0x7f455116,
      0xbb7ad555, 0x7bede0d4, 0x7e4ef679,
    ],
  ],
  [
    "\xac\x86\xe1XB\xc8\xf7zSf\x85Ckp\x91\xe2\x90\xc9q\x8c\xb4\xc2\xeej\x87\x9a4\x82934\xfd\xc3\xcfm\xc5\xbb\x80\xb4R\xea\xe8\xb0\xea\xc0\xcd\xa6\xc3\x90\xf2tw\x99o\xf6\xfc\xe4Z\xa9\x9aDX3I\xe2\xff\x83\xb0fEL\xec\xa3\xc3\xed\x8a\xdb\x80\xf3\x8dB\xb7le\x86\xb40\x85\x9f\x96\xce\x94\x808\x91t\x9dk0\x97\xa3L\xbb\x89\xc2\xe9p\x81\xc31N\x85Ma\xa8\xd8A\xa65\x8e\x8f\xe3xL\xd7\xc9d\xea",
    "ffffffff-0000-0000-0000-000000000001",
    [
      0x9fb4448e, 0x0, 0x7c70002, 0x3d96b7fc, 0x1f753762, 0x16f06ca, 0xa2a62e3e, 0x0, 0xc8d7c9c4,
      0x3e891711, 0x50b5495a, 0x360ade44,
    ],
  ],
  [
    "\xf9\xda\xa5\x95\xfa\xc0c\x8a\xfb\xe0\xe6bB\xf9\xc5\xe2\xaf\xfd\xf5\xc3Z\xc8\xc3\xd34\xf1\xd7\xf8\xf0\xf3\xe6wL7AY\xe5\x9eQ\xa2\xb5\xd0C\xe24\xe2\xca\xf0\x80\xbf\x850\xb6H\xc2\xcbN\xea\xc8G\xfe\xbb\x82J\x85y\xfcqx\xff\xe8\xb7\xc0\xa3J\xbc\xf1\x8bB\xdf\xe3\xe6oJ\xdbb\x96\x83\xe8\xf3\x8f\xe1\xd3Y3\xbdF\xbe\x86\xeeP\xf3t\xee\xbf\x8c\xf7\xc6\x8b\xb8\xb9\xb9U\xcep\x91L\xbb4\x8c\xb7J\xc3\xb5\x86\xa5rrJ",
    "",
    [
      0xb0f1eae6, 0x0, 0x9abf3934, 0xe70103d7, 0x291d11d2, 0x9741554b, 0x4ed8b0ee, 0x0, 0xe5348ae6,
      0x58048b9e, 0x8b60637a, 0x9ff6f112,
    ],
  ],
  [
    "\xd6Na\xc8\x85\x9eX\xdc\xe3\xc4\x89S\xf6\x9fx\xc1\xbe\xa66e0\xbf\xf0\xb5\xa9\x8f\xfca\xac\x9a\xa2\x92U\x960\x95\x98\xa7Uo\xf83\xff\x8c\x82\xa1G\xa6\xa5\xd8J\x9e\xaf\x88C\x89QD\xeb\x8b\xe4c\x81\x86\xb1\xc4\x92m\xa1\xaf7\xe3\xa8\xcf\xceq\xfaKC\xfd\xab\xb5\xdfZ\xe6\x8b\xbeC\xceWh\xba\xac\x99\x8a\x8e\x83\xff\xff\xe9\x84\xa9\xe9z\x8f\xbd\xd0\xed\xa6Ug\xe6fJr\xc2\xc1\xceu\xb5\x97\xb5\xafZ\xcen\x80Ni\x99\xd0N\x93z\xa0\x84\xd3p5\xab\xa4\xab\xc8r\xa2\x87\x98F\xc1\x89\xd5\x9eW\xf1\xc2\xc9\xe3tN\x87\x81\xa4\xa8\xe7\xb4\xb0\x915W8\xae\xf7\xbb\xd8\xbf0I\xa6\xc9\xb9\xb4\x81Rvdc\xc7\xf0R\xfa\xf5\xe7\xb7L\xcfA0Wx\xd3",
    "46f3d79c-5d46-4e46-8720-d2d6de6e6827",
    [
      0x76de1b86, 0x0, 0xf3ae7ed0, 0x8d500c47, 0x588eee46, 0xe6a9de97, 0x79cbc190, 0x0, 0xbb0a6fac,
      0x719a180, 0x5c1a3a68, 0xa9d95357,
    ],
  ],
  [
    "9\xe7\xf9\x8fW\xe2\x82\xc9\xe4\xb1\xf4SPI\x8e\xc8\xd7n\xa5\x84v\xdb02\xcb\x8f\xb7\x89\x92\xe7\x80\xbb\xc8y\xce\x817\xab\xf6\xe8\x90E5n\xc1\xee\xe7\xadK\x83w\xec\xae\xa0w\xc08\xf4\x98\xf9\xad\x9e\xf0\xa7o1\x8c\xff\xc3Hq\xc0p\x91nx\xb9u\x85\x8dR\xe1\xc0\xdelv\xbe\xac\xecE\xdab\xa6Ds6\xdaa\xacD\xf7Fl\xa6\xb5\xf8\x92\xfdSKg\x96ml\xe9\xc8\xb98\x91\xec\xfb\xa2\xa1\x96\xb3hR0K\x89K\x9b\xadV\xd1r\xa3\x9d\x91\xb0MC\xf6\xbbo\xa1\xcc\xb4n\x94\x9f\xfe\xbb7\xe3\xab\x81\xe2\xa9A\xa28\xb8GF\x83nG\xdd\x98\x9e\x87\x97\xdfB\x85\xf9\xf2\x93\x88\x8e0\xfa\xda\xe4G6xR\xbb\xf9\xb9\xa4\x82\xb0\xc0X\xc1k2\xff\x8f\xf3c\xddy\x95\x93\xb7\x9e\xdaK\xc5o\xa6e\x81\xaaG\xe88\xbd\xcf\xcd\x95f\xafQI\x85\xe1LrO\xad\xc1\xf7\xb4ixY\xac\xb7\xe0\xeey\xcb\xecV\x8d\x8d\x89\xd3\x86",
    "c91754f6-9742-419a-8342-3abcb6a81e89",
    [
      0x8311692, 0x0, 0x7871b162, 0xc520d8f, 0x18d7fa0a, 0xa8d4004e, 0x51ae3f42, 0x0, 0xf9a5aaa4,
      0x7ab30ac3, 0xdcb68e94, 0xda8b9300,
    ],
  ],
];
