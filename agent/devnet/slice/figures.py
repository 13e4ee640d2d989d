"""The table of figures from which the slice is made: thirteen tokens and fifty-five pools.

`MEASURED` pools carry what mainnet held at the end of block 24628606 (price and liquidity in range, or
reserves); `CHOSEN` pools are at addresses that the factories give, with a price and a depth chosen by us:
`deviation_bps` away from the tokens' reference prices and `depth_usd` of virtual reserves on each side.
Reference prices are what the measured pools imply, in 1e-9 US dollars for one whole token, USDC being 1.
Every address is checked again by CREATE2 when the slice is built.
"""

from __future__ import annotations

from typing import NamedTuple

UNISWAP_V2 = "uniswap-v2"
SUSHI = "sushi"
UNISWAP_V3 = "uniswap-v3"

FIGURES_BLOCK = 24_628_606
FIGURES_TIMESTAMP_S = 1_773_164_291
BASE_FEE_WEI = 151_953_301
"""The base fee that the block after the figures' carried."""
GAS_LIMIT = 6_000_000
"""A tenth of mainnet's, so that a few dozen users fill half a block and the base fee keeps its place."""

TICK_SPACING_BY_FEE_PIPS = {100: 1, 500: 10, 3_000: 60, 10_000: 200}


class TokenFigure(NamedTuple):
    """A token and its reference price."""

    symbol: str
    name: str
    address: str
    decimals: int
    price_nano_usd: int
    walk_bps: int
    """How far the reference price of the traffic may step in one slot, in hundredths of a percent."""


class MeasuredV3(NamedTuple):
    """A Uniswap V3 pool as mainnet had it."""

    address: str
    token_a: str
    token_b: str
    fee_pips: int
    sqrt_price_x96: int
    liquidity: int


class MeasuredV2(NamedTuple):
    """A Uniswap V2 pair as mainnet had it; reserve0 is that of token_a."""

    address: str
    token_a: str
    token_b: str
    reserve0: int
    reserve1: int


class Chosen(NamedTuple):
    """A pool whose price and depth are ours: token_a is dearer than its reference by `deviation_bps` here."""

    protocol: str
    address: str
    token_a: str
    token_b: str
    fee_pips: int
    deviation_bps: int
    depth_usd: int


# fmt: off
TOKENS: tuple[TokenFigure, ...] = (
    TokenFigure("WETH", "Wrapped Ether", "0xC02aaA39b223FE8D0A0e5C4F27eAD9083C756Cc2", 18, 2_058_770_727_423, 8),
    TokenFigure("USDC", "USD Coin", "0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48", 6, 1_000_000_000, 0),
    TokenFigure("USDT", "Tether USD", "0xdAC17F958D2ee523a2206206994597C13D831ec7", 6, 1_000_167_319, 0),
    TokenFigure("DAI", "Dai Stablecoin", "0x6B175474E89094C44Da98b954EedeAC495271d0F", 18, 999_973_000, 0),
    TokenFigure("WBTC", "Wrapped BTC", "0x2260FAC5E5542a773Aa44fBCfeDf7C193bc2C599", 8, 70_555_451_203_949, 6),
    TokenFigure("cbBTC", "Coinbase Wrapped BTC",
                "0xcbB7C0000aB88B473b1f5aFd9ef808440eed33Bf", 8, 70_730_400_000_000, 6),
    TokenFigure("tBTC", "tBTC v2", "0x18084fbA666a33d37592fA2633fD49a74DD93a88", 18, 70_631_160_178_827, 6),
    TokenFigure("EURC", "Euro Coin", "0x1aBaEA1f7C830bD89Acc67eC4af516284b1bC33c", 6, 1_165_460_435, 2),
    TokenFigure("XAUt", "Tether Gold", "0x68749665FF8D2d112Fa859AA293F07A622782F38", 6, 5_189_500_000_000, 3),
    TokenFigure("LINK", "ChainLink Token", "0x514910771AF9Ca656af840dff83E8264EcF986CA", 18, 9_110_456_277, 12),
    TokenFigure("sUSDe", "Staked USDe", "0x9D39A5DE30e57443BfF2A8307A4256c8797A3497", 18, 1_222_475_139, 0),
    TokenFigure("SPX", "SPX6900", "0xE0f63A424a4439cBE457D80E4f4b51aD25b2c56C", 8, 313_057_118, 20),
    TokenFigure("ONDO", "Ondo", "0xfAbA6f8e4a5E8Ab82F62fe7C39859FA577269BE3", 18, 260_818_587, 15),
)

MEASURED: tuple[MeasuredV3 | MeasuredV2, ...] = (
    MeasuredV3("0x88e6A0c2dDD26FEEb64F039a2c41296FcB3f5640", "USDC", "WETH", 500,
               1746126049677726226693089644658733, 12342132545492389047),
    MeasuredV3("0xc7bBeC68d12a0d1830360F8Ec58fA599bA1b0e9b", "WETH", "USDT", 100,
               3594572490403308166072248, 319995977303204014),
    MeasuredV3("0xe8f7c89C5eFa061e340f2d2F206EC78FD8f7e124", "WBTC", "cbBTC", 100,
               79130285061673304884541275091, 53388661181410),
    MeasuredV3("0x73A38006d23517a1d383C88929B2014F8835B38B", "tBTC", "WBTC", 100,
               792706586972181693068528, 1487560090284194611),
    MeasuredV3("0xE0554a476A092703abdB3Ef35c80e0D76d32939F", "USDC", "WETH", 100,
               1745158522509762439741420996073082, 106490088593693314),
    MeasuredV2("0x52c77b0CB827aFbAD022E6d6CAF2C44452eDbc39", "WETH", "SPX",
               2145770216199033229580, 1411131915755024),
    MeasuredV3("0x7EB59373D63627be64b42406B108B602174B4CCC", "sUSDe", "USDT", 100,
               87591763859878527388147, 1243132398395152865371),
    MeasuredV3("0x56534741CD8B152df6d48AdF7ac51f75169A83b2", "WBTC", "USDT", 500,
               2104304290844331618941514773270, 3196605131870),
    MeasuredV3("0x95DBB3C7546F22BCE375900AbFdd64a4E5bD73d6", "EURC", "USDC", 500,
               85531945606857153106743424773, 377149598117697),
    MeasuredV3("0x99ac8cA7087fA4A2A1FB6357269965A2014ABc35", "WBTC", "USDC", 3000,
               2107114241363960280694611132553, 2725373776337),
    MeasuredV3("0x60594a405d53811d3BC4766596EFD80fd545A270", "DAI", "WETH", 500,
               1744742135122678450816633067, 22011073252028215741326),
    MeasuredV3("0x48DA0965ab2d2cbf1C17C09cFB5Cbe67Ad5B1406", "DAI", "USDT", 100,
               79220534922923045116835, 31586161823864001817158),
    MeasuredV3("0xC5C7c21F4e60770CA5991a8832127A40f5236f73", "XAUt", "WETH", 3000,
               125348777342243544618796266726136861, 5341986255912519),
    MeasuredV3("0x6546055f46e866a4B9a4A13e81273e3152BAE5dA", "XAUt", "USDT", 500,
               5706948170758498816461598517445, 2694419669664),
    MeasuredV3("0x9a772018FbD77fcD2d25657e5C547BAfF3Fd7D16", "WBTC", "USDC", 500,
               2104477380925454020855741291270, 220295756201),
    MeasuredV3("0x4548280AC92507C9092a511C7396Cbea78FA9E49", "USDC", "cbBTC", 3000,
               2975684825625960801777002669, 106035340876),
    MeasuredV3("0xFAD57d2039C21811C8F2B5D5B65308aa99D31559", "LINK", "USDC", 3000,
               239138580965320150505007, 394908679578867455),
    MeasuredV3("0x7b1E5D984A43eE732de195628d20d05CFaBc3cC7", "WETH", "ONDO", 3000,
               7039054165691844985191650351882, 1276501754984599498727989),
    MeasuredV3("0x4585FE77225b41b697C938B018E2Ac67Ac5a20c0", "WBTC", "WETH", 500,
               46341930559040384975679014652145257, 273392603849391440),
)

CHOSEN: tuple[Chosen, ...] = (
    Chosen(UNISWAP_V2, "0xB4e16d0168e52d35CaCD2c6185b44281Ec28C9Dc", "WETH", "USDC", 3000, 12, 9_000_000),
    Chosen(UNISWAP_V2, "0xA478c2975Ab1Ea89e8196811F51A7B7Ade33eB11", "WETH", "DAI", 3000, -14, 4_000_000),
    Chosen(UNISWAP_V2, "0x0d4a11d5EEaaC28EC3F61d100daF4d40471f1852", "WETH", "USDT", 3000, -6, 7_000_000),
    Chosen(UNISWAP_V2, "0xBb2b8038a1640196FbE3e38816F3e67Cba72D940", "WBTC", "WETH", 3000, 18, 5_000_000),
    Chosen(UNISWAP_V2, "0xa2107FA5B38d9bbd2C461D6EDf11B11A50F6b974", "LINK", "WETH", 3000, -35, 2_000_000),
    Chosen(UNISWAP_V2, "0xB6D62FA8Cf3a5f198df1F4fA32918430689CeC9a", "ONDO", "WETH", 3000, -105, 600_000),
    Chosen(UNISWAP_V2, "0x3041CbD36888bECc7bbCBc0045E3B1f144466f5f", "USDC", "USDT", 3000, 4, 3_000_000),
    Chosen(UNISWAP_V2, "0xAE461cA67B15dc8dc81CE7615e0320dA1A9aB8D5", "DAI", "USDC", 3000, -7, 2_000_000),
    Chosen(UNISWAP_V2, "0x589eA310F2500f6859d2619518fd1b95bB1bB0B1", "XAUt", "WETH", 3000, 20, 400_000),
    Chosen(UNISWAP_V2, "0x83680E59E299487E03d83d66B0ceCe195466151C", "EURC", "WETH", 3000, -25, 350_000),
    Chosen(SUSHI, "0x397FF1542f962076d0BFE58eA045FfA2d347ACa0", "WETH", "USDC", 3000, -16, 2_500_000),
    Chosen(SUSHI, "0xC3D03e4F041Fd4cD388c549Ee2A29a9E5075882f", "WETH", "DAI", 3000, 22, 1_500_000),
    Chosen(SUSHI, "0x06da0fd433C1A5d7a4faa01111c044910A184553", "WETH", "USDT", 3000, 62, 1_800_000),
    Chosen(SUSHI, "0xCEfF51756c56CeFFCA006cD410B03FFC46dd3a58", "WBTC", "WETH", 3000, -12, 3_000_000),
    Chosen(SUSHI, "0xC40D16476380e4037e6b1A2594cAF6a6cc8Da967", "LINK", "WETH", 3000, 95, 800_000),
    Chosen(SUSHI, "0x359f58f09Ac3Ecc4E135A3fF5c197507335Eb383", "SPX", "WETH", 3000, 130, 250_000),
    Chosen(SUSHI, "0xD86A120a06255Df8D4e2248aB04d4267E23aDfaA", "USDC", "USDT", 3000, -9, 900_000),
    Chosen(UNISWAP_V3, "0x8ad599c3A0ff1De082011EFDDc58f1908eb6e6D8", "WETH", "USDC", 3000, 10, 95_000_000),
    Chosen(UNISWAP_V3, "0x7BeA39867e4169DBe237d55C8242a8f2fcDcc387", "WETH", "USDC", 10000, -30, 3_000_000),
    Chosen(UNISWAP_V3, "0x11b815efB8f581194ae79006d24E0d814B7697F6", "WETH", "USDT", 500, 4, 120_000_000),
    Chosen(UNISWAP_V3, "0x4e68Ccd3E89f51C3074ca5072bbAC773960dFa36", "WETH", "USDT", 3000, -8, 90_000_000),
    Chosen(UNISWAP_V3, "0xCBCdF9626bC03E24f779434178A73a0B4bad62eD", "WBTC", "WETH", 3000, -15, 110_000_000),
    Chosen(UNISWAP_V3, "0xC2e9F25Be6257c210d7Adf0D4Cd6E3E881ba25f8", "WETH", "DAI", 3000, 20, 9_000_000),
    Chosen(UNISWAP_V3, "0x5777d92f208679DB4b9778590Fa3CAB3aC9e2168", "DAI", "USDC", 100, 0, 4_000_000_000),
    Chosen(UNISWAP_V3, "0x6c6Bc977E13Df9b0de53b251522280BB72383700", "DAI", "USDC", 500, -3, 300_000_000),
    Chosen(UNISWAP_V3, "0x3416cF6C708Da44DB2624D63ea0AAef7113527C6", "USDC", "USDT", 100, -1, 8_000_000_000),
    Chosen(UNISWAP_V3, "0x7858E59e0C01EA06Df3aF3D20aC7B0003275D4Bf", "USDC", "USDT", 500, 2, 200_000_000),
    Chosen(UNISWAP_V3, "0xa6Cc3C2531FdaA6Ae1A3CA84c2855806728693e8", "LINK", "WETH", 3000, -12, 14_000_000),
    Chosen(UNISWAP_V3, "0x3A0f221eA8B150f3D3d27DE8928851aB5264bB65", "LINK", "WETH", 10000, 40, 900_000),
    Chosen(UNISWAP_V3, "0x66DD1ACc5da42502ddD469277aed509D1de22b69", "cbBTC", "WETH", 500, 6, 60_000_000),
    Chosen(UNISWAP_V3, "0x54E58c986818903d2d86dAfE03f5F5E6C2cA6710", "cbBTC", "USDC", 500, -4, 80_000_000),
    Chosen(UNISWAP_V3, "0x9Db9e0e53058C89e5B94e29621a205198648425B", "WBTC", "USDT", 3000, 14, 12_000_000),
    Chosen(UNISWAP_V3, "0x97944213D2caeeA773DA1c9B11B0525F25b749CC", "tBTC", "WETH", 3000, 24, 5_000_000),
    Chosen(UNISWAP_V3, "0x00Ed26e794b949E18B142F9108429b74CE08aC99", "SPX", "WETH", 10000, -45, 1_200_000),
    Chosen(UNISWAP_V3, "0xA8e8C91fAA15149F5f6E4A37846DCd58B88b3EC7", "ONDO", "USDC", 3000, 18, 1_500_000),
    Chosen(UNISWAP_V3, "0x4E0f19d310C31Be732BAe1a53b465087FDbDEab8", "sUSDe", "USDC", 500, -5, 15_000_000),
)
# fmt: on
