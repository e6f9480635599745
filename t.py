import traceback
from pathlib import Path

from PIL import Image

from lookalike import Dataset
from lookalike.data.manifest import write_table
from lookalike.errors import LookalikeError

for i in range(8):
    Image.new("RGB", (8, 8), (i * 9, 0, 0)).save(f"{i}.png")


def t(head, rows, **kw):
    Path("t.csv").write_text("\n".join([head, *rows]), "utf-8")
    try:
        d = Dataset("t.csv", **kw)
        print(list(d.manifest.table.columns), d.manifest.notes)
        write_table(d.manifest, Path("w.csv"))
        Dataset("w.csv")
    except LookalikeError as e:
        print("ERR", e)
    except Exception:
        traceback.print_exc()


b = [f"{i}.png,{'ab'[i % 2]}" for i in range(8)]
t("path,label,date", [x + ",2024-0%d-01" % (i + 1) for i, x in enumerate(b)], split="date", validation_share=0.9)
t("path,label,date", [x + ",99999999" for x in b], split="date", validation_share=0.3)
t(
    "path,label,scene",
    [x + ",s%d" % (i // 2) for i, x in enumerate(b)],
    split="scene",
    validation_share=0.3,
    test_share=0.3,
)
t("path,label,split", [x + ",train" for x in b], split="individual", validation_share=0.5)
t("path,label,carried\x1b[31m,index,0", [x + ",1,2,3" for x in b])
t("path,label,,x", [x + ",,2" for x in b])
t("path,label,row,size,embedding", [x + ",1,2,3" for x in b])
t("path,label,camera", [x + ",1e3" for x in b])
t("path,label,camera", [x + ",²" for x in b])
t("path,label,camera", [x + ",-" for x in b], split="site", validation_share=0.2)
t("path,label,camera", [x + f",c{i % 3}" for i, x in enumerate(b)], split="site", validation_share=0.99)
t("path,label", b, columns={"label": "path"})
t("path,label", b, columns={"lable": "path"})
t("path,label", b, columns={"label": 3})
t("path,label", b, columns="x")
t("path,label", b, columns={"camera": "label"})
t("path,label", b, split="x")
t("path,label", b, images=3)
t("path,label", [], split="site", validation_share=0.2)
t("path,label", b[:1], split="individual", validation_share=0.2)
t("path,label", b[:2], split="stratified", validation_share=0.2)
t("path,label", b[:2], split="scene", validation_share=0.2)
t("path,label,source", [b[0] + ",", b[1] + ",0.png"], split="individual", validation_share=0.2)
t("path,label,Camera_Name,camera", [x + ",N,1" for x in b])
