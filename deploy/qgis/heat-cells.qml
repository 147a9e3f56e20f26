<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>
<!-- Heat map as cells: colours go from the least to the largest value of the layer. -->
<qgis version="3.28" styleCategories="Symbology">
  <renderer-v2 type="singleSymbol" symbollevels="0" enableorderby="0" forceraster="0">
    <symbols>
      <symbol type="fill" name="0" alpha="0.7" clip_to_extent="1" force_rhr="0">
        <layer class="SimpleFill" enabled="1" locked="0" pass="0">
        <Option type="Map">
          <Option type="QString" name="color" value="125,124,120,255"/>
          <Option type="QString" name="style" value="solid"/>
          <Option type="QString" name="outline_style" value="no"/>
        </Option>
        <data_defined_properties>
          <Option type="Map">
            <Option type="QString" name="name" value=""/>
            <Option type="Map" name="properties">
              <Option type="Map" name="fillColor">
                <Option type="bool" name="active" value="true"/>
                <Option type="QString" name="expression" value="ramp_color(create_ramp(map(0, '#00224e', 0.25, '#434e6c', 0.5, '#7d7c78', 0.75, '#bcae6c', 1, '#fee838')), scale_linear(&quot;value&quot;, minimum(&quot;value&quot;), maximum(&quot;value&quot;), 0, 1))"/>
                <Option type="int" name="type" value="3"/>
              </Option>
            </Option>
            <Option type="QString" name="type" value="collection"/>
          </Option>
        </data_defined_properties>
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
