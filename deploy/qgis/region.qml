<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>
<!-- Region that holds the truth as often as it says: an outline. -->
<qgis version="3.28" styleCategories="Symbology">
  <renderer-v2 type="singleSymbol" symbollevels="0" enableorderby="0" forceraster="0">
    <symbols>
      <symbol type="fill" name="0" alpha="1" clip_to_extent="1" force_rhr="0">
        <layer class="SimpleFill" enabled="1" locked="0" pass="0">
        <Option type="Map">
          <Option type="QString" name="color" value="255,109,182,40"/>
          <Option type="QString" name="style" value="solid"/>
          <Option type="QString" name="outline_style" value="solid"/>
          <Option type="QString" name="outline_color" value="255,109,182,255"/>
          <Option type="QString" name="outline_width" value="0.66"/>
          <Option type="QString" name="outline_width_unit" value="MM"/>
        </Option>
        </layer>
      </symbol>
    </symbols>
    <rotation/>
    <sizescale/>
  </renderer-v2>
  <blendMode>0</blendMode>
  <featureBlendMode>0</featureBlendMode>
  <layerGeometryType>2</layerGeometryType>
</qgis>
