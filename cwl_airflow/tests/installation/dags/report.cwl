cwlVersion: v1.2
class: CommandLineTool
label: A report with a table, a picture and a page
doc: Makes one file of each kind that a **browser** shows.
requirements: {InlineJavascriptRequirement: {}}
inputs:
  title: {type: string, doc: What stands above the page.}
arguments:
  - python3
  - -c
  - |
    import os, struct, sys, zlib

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = b"".join(b"\0" + bytes(value for x in range(200) for value in (x, y, 128)) for y in range(100))
    head = struct.pack(">IIBBBBB", 200, 100, 8, 2, 0, 0, 0)
    with open("picture.png", "wb") as picture:
        picture.write(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head))
        picture.write(chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))
    with open("table.tsv", "w") as table:
        table.write("sample\treads\n" + "".join(f"s{number}\t{1000 * number}\n" for number in range(5)))
    with open("report.html", "w") as page:
        page.write(f"<h1>{sys.argv[1]}</h1><p id='said'></p><script>try {{ said.textContent = 'cookies: ' + document.cookie")
        page.write("} catch (error) { said.textContent = 'no cookies' }</script>")
    os.makedirs("tree/sub")
    with open("tree/sub/data.bin", "wb") as data:
        data.write(bytes(range(256)))
    with open("tree/ä note.txt", "w") as note:
        note.write("hello\n")
  - $(inputs.title)
outputs:
  picture: {type: File, outputBinding: {glob: picture.png}}
  table: {type: File, outputBinding: {glob: table.tsv}}
  page: {type: File, outputBinding: {glob: report.html}}
  tree: {type: Directory, outputBinding: {glob: tree}}
  number: {type: int, outputBinding: {outputEval: $(41 + 1)}}
